-- For wrk: sends the records of a file one after the other. Arguments: path, bytes per record.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  recordBytes = tonumber(args[2])
  file = assert(io.open(args[1], "rb"))
  file:setvbuf("full", 1048576)
  wraps = 0
end

function request()
  local record = file:read(recordBytes)
  if record == nil or #record < recordBytes then
    wraps = wraps + 1
    file:seek("set", 0)
    record = file:read(recordBytes)
  end
  return record
end

function done(summary, latency, requests)
  local wrapped = 0
  for _, thread in ipairs(threads) do
    wrapped = wrapped + thread:get("wraps")
  end
  local errors = summary.errors
  io.write(string.format(
    '\nRESULT {"requests":%d,"durationUs":%d,"refused":%d,"connectErrors":%d,"readErrors":%d,"writeErrors":%d,' ..
    '"timeouts":%d,"p50Us":%d,"p99Us":%d,"maxUs":%d,"wraps":%d}\n',
    summary.requests, summary.duration, errors.status, errors.connect, errors.read, errors.write,
    errors.timeout, latency:percentile(50), latency:percentile(99), latency.max, wrapped))
end
