// Writes requests that operators see, beside receiving: bounded in rate and memory, masked, with their diagnosis.
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import type { Database } from '../database/database.ts';
import { describeError } from '../errors.ts';
import { addCaptured, addNotShown, maxBodyBytes, type NewCapturedRequest } from '../events/captures.ts';
import type { Logger } from '../logger.ts';
import {
  diagnoseRejection,
  type KnownSecrets,
  maskRequest,
  type Provider,
  type Source,
  secretsOf,
} from '../providers/index.ts';
import type { Finding, SeenRequest } from './captures.ts';

export interface CaptureWriter {
  /** Never waits and never throws. A request beyond a limit is counted, not kept. */
  add(request: SeenRequest, body: Buffer, status: number, finding: Finding | undefined): void;
  stop(): Promise<void>;
}

export interface CaptureWriterOptions {
  database: Database;
  log: Logger;
  sources: ReadonlyMap<string, Source>;
  waiting: ReadonlyMap<string, Provider>;
  host: string;
}

/** Of one source, in a second. Strangers send as well: these bound what they can write. */
export const maxPerSecond = 20;
const maxBytesPerSecond = 1_048_576;
/** A slow database leaves requests waiting, of one source at most a quarter: a flood must not hide the others. */
const maxWaiting = 100;
const maxWaitingBytes = 8 * 1_048_576;
const sharePerSource = 1 / 4;
/** A diagnosis may cost some 10 ms of the event loop, in pieces. */
const maxDiagnosesPerSecond = 5;
const writePauseMs = 250;
const pauseAfterFailureMs = 2_000;
const maxInteger = 2 ** 31 - 1;

interface PendingCapture {
  request: SeenRequest;
  receivedAt: Date;
  /** At most `maxBodyBytes` of it. */
  body: Buffer;
  bodyBytes: number;
  status: number;
  finding: Finding | undefined;
}

/** The requests of one source, counted. */
interface Stream {
  secondEndsAt: number;
  requests: number;
  bytes: number;
  notShown: number;
  /** Of the last request that was kept; undefined: none yet. */
  lastId: number | undefined;
}

const newStream = (): Stream => ({ secondEndsAt: 0, requests: 0, bytes: 0, notShown: 0, lastId: undefined });

export function createCaptureWriter(options: CaptureWriterOptions): CaptureWriter {
  const { database, log } = options;
  const streams = new Map<string, Stream>();
  const describe = createSafeDescribe(options);
  const closing = new AbortController();
  const queue = createQueue();
  let writing: Promise<void> | undefined;

  function streamOf(name: string): Stream {
    const stream = streams.get(name) ?? newStream();
    streams.set(name, stream);
    return stream;
  }

  /** The counts that a kept request can bear. */
  const openCounts = () =>
    [...streams.values()].filter((one) => one.notShown > 0 && one.lastId !== undefined);

  async function writeCounts(): Promise<void> {
    const open = openCounts();
    if (open.length === 0) return;
    const counts = open.map(({ lastId, notShown }) => ({ id: lastId!, count: notShown }));
    await addNotShown(database, counts);
    for (const [index, stream] of open.entries()) stream.notShown -= counts[index]!.count;
  }

  async function write(): Promise<void> {
    const taken = queue.takeAll();
    const rows: NewCapturedRequest[] = [];
    for (const one of taken) {
      const row = await describe(one);
      if (row) rows.push(row);
      else streamOf(one.request.name).notShown++;
      await nextTurn();
    }
    try {
      const ids = rows.length > 0 ? await addCaptured(database, rows) : [];
      for (const [index, { source }] of rows.entries()) streamOf(source).lastId = ids[index];
    } catch (error) {
      for (const { source } of rows) streamOf(source).notShown++;
      throw error;
    }
    await writeCounts();
  }

  async function writeAll(): Promise<void> {
    await nextTurn(); // the answer goes first
    while (!closing.signal.aborted && (queue.size() > 0 || openCounts().length > 0)) {
      let pauseMs = writePauseMs;
      try {
        await write();
      } catch (error) {
        log.warn({ error: describeError(error).text }, 'captured requests could not be written');
        pauseMs = pauseAfterFailureMs;
      }
      await delay(pauseMs, undefined, { signal: closing.signal, ref: false }).catch(() => {}); // stopped
    }
    writing = undefined;
  }

  return {
    add: (request, body, status, finding) => {
      const stream = streamOf(request.name);
      const pending = { request, receivedAt: new Date(), body, bodyBytes: body.length, status, finding };
      const bytes = keptBytes(pending);
      if (queue.hasRoom(request.name, bytes) && hasRoom(stream, bytes)) queue.add(bounded(pending));
      else stream.notShown++;
      if (!closing.signal.aborted) writing ??= writeAll();
    },
    stop: async () => {
      closing.abort();
      await writing;
    },
  };
}

const keptBytes = ({ bodyBytes }: PendingCapture) => Math.min(bodyBytes, maxBodyBytes);

/** The requests that wait for the next write. Their number and bytes are limited, in total and for each source. */
function createQueue() {
  let all: PendingCapture[] = [];
  const isWithin = (waiting: readonly PendingCapture[], bytes: number, share: number) =>
    waiting.length < maxWaiting * share &&
    waiting.reduce((sum, one) => sum + keptBytes(one), bytes) <= maxWaitingBytes * share;
  return {
    size: () => all.length,
    hasRoom: (name: string, bytes: number) =>
      isWithin(all, bytes, 1) &&
      isWithin(
        all.filter(({ request }) => request.name === name),
        bytes,
        sharePerSource,
      ),
    add: (pending: PendingCapture) => void all.push(pending),
    takeAll: () => {
      const taken = all;
      all = [];
      return taken;
    },
  };
}

/** A large body is copied in part, so that the whole is not held; the diagnosis does not read bodies of this size. */
function bounded(waiting: PendingCapture): PendingCapture {
  const { finding } = waiting;
  if (waiting.bodyBytes <= maxBodyBytes) return waiting;
  const body = Buffer.from(waiting.body.subarray(0, maxBodyBytes));
  if (!finding?.rejected) return { ...waiting, body };
  const delivery = { ...finding.rejected.delivery, body };
  return { ...waiting, body, finding: { ...finding, rejected: { ...finding.rejected, delivery } } };
}

function hasRoom(stream: Stream, bytes: number): boolean {
  const now = performance.now();
  if (now >= stream.secondEndsAt) Object.assign(stream, { secondEndsAt: now + 1_000, requests: 0, bytes: 0 });
  if (stream.requests >= maxPerSecond || stream.bytes + bytes > maxBytesPerSecond) return false;
  stream.requests++;
  stream.bytes += bytes;
  return true;
}

/** Anybody may have sent it: a request that cannot be described must not take the others with it. @returns undefined for it */
function createSafeDescribe(
  options: CaptureWriterOptions,
): (waiting: PendingCapture) => Promise<NewCapturedRequest | undefined> {
  const describe = createDescribe(options);
  return (waiting) =>
    describe(waiting).catch((error: unknown) => {
      options.log.warn({ error: describeError(error).text }, 'a captured request could not be described');
      return undefined;
    });
}

function createDescribe(
  options: CaptureWriterOptions,
): (waiting: PendingCapture) => Promise<NewCapturedRequest> {
  const { sources, waiting, host } = options;
  const secrets: KnownSecrets = secretsOf(sources.values());
  const mayDiagnose = createBudget(maxDiagnosesPerSecond);
  const sourceOf = (name: string): Source | undefined => {
    const provider = waiting.get(name);
    return sources.get(name) ?? (provider && { name, provider, secrets: [] });
  };
  return async ({ request, receivedAt, body, bodyBytes, status, finding }) => {
    const { id, name, method, url, headers } = request;
    const delivery = { method, url, headers, body, receivedAt };
    const masked = maskRequest(delivery, sourceOf(name), secrets);
    const { reason, detail } = await explain(finding, sources, mayDiagnose);
    const declared = Math.trunc(Number(headers['content-length']?.[0])) || 0;
    const isUnread = bodyBytes === 0 && declared > 0;
    return {
      ...{ source: name, requestId: id, receivedAt, process: host, method, status, reason, detail },
      ...{ url: masked.url, headers: masked.headers },
      body: isUnread ? null : (masked.body?.subarray(0, maxBodyBytes) ?? null),
      bodyBytes: isUnread ? Math.min(Math.max(0, declared), maxInteger) : bodyBytes,
      outcome: finding?.outcome ?? outcomeOf(status),
      topic: finding?.topic ?? null,
      eventId: finding?.eventId ?? null,
    };
  };
}

/** A request without a finding was answered by its head, by a handshake, or failed. */
function outcomeOf(status: number): string {
  if (status < 300) return 'handshake';
  const outcomes: Record<number, string> = {
    405: 'method_not_allowed',
    413: 'too_large',
    415: 'unsupported_encoding',
    503: 'unavailable',
  };
  return outcomes[status] ?? 'failed';
}

async function explain(
  finding: Finding | undefined,
  sources: ReadonlyMap<string, Source>,
  mayDiagnose: () => boolean,
): Promise<{ reason: string | null; detail: string | null }> {
  if (!finding?.rejected) return { reason: finding?.reason ?? null, detail: finding?.detail ?? null };
  const { source, delivery, rejection } = finding.rejected;
  if (mayDiagnose()) return diagnoseRejection(source, delivery, rejection, sources.values());
  return { reason: rejection.reason, detail: rejection.detail ?? null };
}

function createBudget(perSecond: number): () => boolean {
  let endsAt = 0;
  let used = 0;
  return () => {
    const now = performance.now();
    if (now >= endsAt) [endsAt, used] = [now + 1_000, 0];
    return used++ < perSecond;
  };
}
