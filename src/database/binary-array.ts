// Encodes arrays in Postgres' binary format, for statements with many rows: saves escaping here and parsing in Postgres.

/** Element types by their OIDs, which are fixed in every Postgres. */
const oids = { bool: 16, bytea: 17, int4: 23, text: 25, timestamptz: 1184, uuid: 2950, jsonb: 3802 } as const;

// The format of `array_recv`: number of dimensions, flag for NULLs, OID of the element type; length and lower bound of the
// dimension; then for each element its length (-1: NULL) and its bytes.
const headBytes = 20;
const microsecondsTo2000 = 946_684_800_000_000n;
const jsonbVersion = 1;

type Values<T> = readonly (T | null)[];

export const textArray = (values: Values<string>): Buffer =>
  encode('text', values, Buffer.byteLength, (text, into, at) => into.write(text, at));

/** @param values JSON texts, which Postgres parses */
export const jsonbArray = (values: Values<string>): Buffer =>
  encode(
    'jsonb',
    values,
    (text) => Buffer.byteLength(text) + 1,
    (text, into, at) => {
      into[at] = jsonbVersion;
      into.write(text, at + 1);
    },
  );

export const byteaArray = (values: Values<Buffer>): Buffer =>
  encode(
    'bytea',
    values,
    (bytes) => bytes.length,
    (bytes, into, at) => into.set(bytes, at),
  );

/** @param values in the canonical spelling, with hyphens */
export const uuidArray = (values: Values<string>): Buffer =>
  encode(
    'uuid',
    values,
    () => 16,
    (uuid, into, at) => into.write(uuid.replaceAll('-', ''), at, 'hex'),
  );

export const timestamptzArray = (values: Values<Date>): Buffer =>
  encode(
    'timestamptz',
    values,
    () => 8,
    (date, into, at) => into.writeBigInt64BE(BigInt(date.getTime()) * 1_000n - microsecondsTo2000, at),
  );

export const boolArray = (values: Values<boolean>): Buffer =>
  encode(
    'bool',
    values,
    () => 1,
    (value, into, at) => into.writeUInt8(Number(value), at),
  );

export const int4Array = (values: Values<number>): Buffer =>
  encode(
    'int4',
    values,
    () => 4,
    (value, into, at) => into.writeInt32BE(value, at),
  );

function encode<T>(
  type: keyof typeof oids,
  values: Values<T>,
  lengthOf: (value: T) => number,
  write: (value: T, into: Buffer, at: number) => void,
): Buffer {
  let total = headBytes + 4 * values.length;
  const lengths = values.map((value) => {
    const length = value === null ? -1 : lengthOf(value);
    if (length > 0) total += length;
    return length;
  });
  const buffer = Buffer.allocUnsafe(total);
  buffer.writeInt32BE(1, 0);
  buffer.writeInt32BE(lengths.includes(-1) ? 1 : 0, 4);
  buffer.writeInt32BE(oids[type], 8);
  buffer.writeInt32BE(values.length, 12);
  buffer.writeInt32BE(1, 16);
  let at = headBytes;
  for (let index = 0; index < values.length; index++) {
    const length = lengths[index]!;
    buffer.writeInt32BE(length, at);
    at += 4;
    if (length < 0) continue;
    write(values[index]!, buffer, at);
    at += length;
  }
  return buffer;
}
