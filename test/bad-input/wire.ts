// HTTP as bytes on a socket: what is sent is sent as it is, and every answer on the connection is read.
import { connect, type Socket } from 'node:net';

export interface Answer {
  status: number;
  /** Lower-case names; of a repeated one the last. */
  headers: Record<string, string>;
  body: string;
}

/** Everything that came back on one connection. */
export interface Conversation {
  answers: Answer[];
  /** True when the server ended it. */
  isClosed: boolean;
  /** Bytes that were no complete answer. */
  rest: string;
  ms: number;
}

export interface ExchangeOptions {
  /** Stop listening after so many answers; default: until the server closes. */
  answers?: number;
  /** End our side once everything was written: a client that goes away, or has nothing more to say. */
  end?: 'half' | 'destroy';
  /** Of the `answers` the last may never come: end our side when it has not after so long a silence. */
  quietMs?: number;
  /** Listen no longer than this; default 10,000. What came until then is returned. */
  timeoutMs?: number;
  /** Of another process than the usual. */
  port?: number;
  /** The server answers a HEAD without a body. */
  isHead?: boolean;
}

/** Sends `bytes` (several chunks: each in a packet of its own) on a new connection. Never rejects. */
export function exchange(
  port: number,
  bytes: string | Buffer | readonly (string | Buffer)[],
  {
    answers: wanted = Number.POSITIVE_INFINITY,
    end,
    quietMs,
    timeoutMs = 10_000,
    isHead = false,
  }: ExchangeOptions = {},
): Promise<Conversation> {
  const chunks = (Array.isArray(bytes) ? bytes : [bytes]) as (string | Buffer)[];
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    const reader = createAnswerReader(isHead);
    let isClosed = false;
    const finish = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve({ answers: reader.answers, isClosed, rest: reader.rest(), ms: performance.now() - startedAt });
    };
    const timer = setTimeout(finish, timeoutMs);
    // Not before the others were answered: a server that is busy is silent, too.
    const waitForQuiet = () => {
      if (quietMs && reader.answers.length === wanted - 1) socket.setTimeout(quietMs, () => socket.end());
    };
    waitForQuiet();
    socket.on('connect', () => void writeAll(socket, chunks, end));
    socket.on('data', (chunk: Buffer) => {
      reader.add(chunk);
      if (reader.answers.length >= wanted) finish();
      else waitForQuiet();
    });
    socket.on('error', () => {}); // `close` follows
    socket.on('close', () => {
      isClosed = true;
      finish();
    });
  });
}

async function writeAll(
  socket: Socket,
  chunks: readonly (string | Buffer)[],
  end: ExchangeOptions['end'],
): Promise<void> {
  for (const chunk of chunks) {
    if (socket.destroyed) return;
    await new Promise((written) => socket.write(latin1(chunk), written));
    if (chunks.length > 1) await new Promise(setImmediate);
  }
  if (end === 'half') socket.end();
  else if (end === 'destroy') socket.destroy();
}

/** Headers are bytes: a string's characters up to ÿ become one byte each. */
export function latin1(bytes: string | Buffer): Buffer {
  return typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes;
}

export interface AnswerReader {
  answers: Answer[];
  add(chunk: Buffer): void;
  rest(): string;
}

/** Cuts what a server sends into answers. Ours always bear a content-length, or no body. */
export function createAnswerReader(isHead = false): AnswerReader {
  const answers: Answer[] = [];
  let buffered = '';
  return {
    answers,
    rest: () => buffered,
    add: (chunk) => {
      buffered += chunk.toString('latin1');
      for (;;) {
        const headEnd = buffered.indexOf('\r\n\r\n');
        if (headEnd < 0) return;
        const [statusLine = '', ...lines] = buffered.slice(0, headEnd).split('\r\n');
        const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(statusLine)?.[1] ?? Number.NaN);
        const headers = Object.fromEntries(
          lines.map((line) => {
            const colon = line.indexOf(':');
            return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
          }),
        );
        const length = isHead || status < 200 || status === 204 ? 0 : Number(headers['content-length'] ?? 0);
        if (buffered.length < headEnd + 4 + length) return;
        const body = buffered.slice(headEnd + 4, headEnd + 4 + length);
        buffered = buffered.slice(headEnd + 4 + length);
        answers.push({ status, headers, body });
      }
    },
  };
}

export interface RawRequest {
  method?: string;
  path?: string;
  /** As they are to stand on the wire, in this order; a value may come several times. */
  headers?: readonly (readonly [name: string, value: string])[];
  body?: Buffer | string;
  /** Default `content-length`; `none` leaves the framing to `headers`. */
  framing?: 'content-length' | 'chunked' | 'none';
}

/** One request as bytes. Adds a Host unless `headers` has one. */
export function rawRequest({
  method = 'POST',
  path = '/',
  headers = [],
  body = '',
  framing = 'content-length',
}: RawRequest): Buffer {
  const bytes = Buffer.from(body);
  const hasHost = headers.some(([name]) => name.toLowerCase() === 'host');
  const lines = [`${method} ${path} HTTP/1.1`, ...(hasHost ? [] : ['Host: postbell.test'])];
  for (const [name, value] of headers) lines.push(`${name}: ${value}`);
  if (framing === 'content-length') lines.push(`Content-Length: ${bytes.length}`);
  if (framing === 'chunked') lines.push('Transfer-Encoding: chunked');
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  if (framing !== 'chunked') return Buffer.concat([head, bytes]);
  const chunk = bytes.length
    ? [Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]
    : [];
  return Buffer.concat([head, ...chunk, Buffer.from('0\r\n\r\n')]);
}
