# Out of a TAP log: each failed test with the path of its subtests and its diagnostic block.
# A file's own `not ok` follows them; of its block only the lines that say how its process ended are of use.

function depth_of(line) {
  match(line, /^ */)
  return int(RLENGTH / 4)
}

/^ *# Subtest: / {
  depth = depth_of($0)
  sub(/^ *# Subtest: /, "")
  path[depth] = $0
  next
}

/^ *not ok / {
  depth = depth_of($0)
  place = ""
  for (level = 0; level < depth; level++) place = place path[level] " > "
  sub(/^ */, "")
  print place $0
  inBlock = 0
  mayHaveBlock = 1
  isFile = depth == 0
  next
}

/^ *---$/ { inBlock = mayHaveBlock; next }
/^ *\.\.\.$/ { inBlock = 0; mayHaveBlock = 0; next }
inBlock && (!isFile || /^ *(exitCode|signal|failure|error|timeout|expired): /) { print }
!inBlock { mayHaveBlock = 0 }
