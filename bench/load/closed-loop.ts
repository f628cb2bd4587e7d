// Stands in where wrk is not installed: every connection sends the next record as soon as it was answered.
import { closeSync, openSync, readSync } from 'node:fs';
import { createConnection } from 'node:net';
import type { LoadOptions, LoadResult } from './load.ts';
import { percentile } from './percentile.ts';

const graceMs = 10_000;

export async function runClosedLoop({
  url,
  connections,
  seconds,
  requests,
}: LoadOptions): Promise<LoadResult> {
  const { hostname, port } = new URL(url);
  const records = openRecords(requests.path, requests.recordBytes);
  const latenciesMs: number[] = [];
  let accepted = 0;
  let refused = 0;
  let errors = 0;
  const startedAt = performance.now();
  const endsAt = startedAt + seconds * 1_000;

  const drive = () =>
    new Promise<void>((resolve) => {
      const socket = createConnection({ host: hostname, port: Number(port), noDelay: true });
      const timer = setTimeout(() => socket.destroy(new Error('no answer')), seconds * 1_000 + graceMs);
      let sentAt = 0;
      let text = '';
      const send = () => {
        sentAt = performance.now();
        if (sentAt >= endsAt) socket.destroy();
        else socket.write(records.next());
      };
      socket.on('connect', send);
      socket.setEncoding('latin1');
      socket.on('data', (data) => {
        text += data;
        const status = completeAnswer(text);
        if (status === undefined) return;
        text = '';
        const now = performance.now();
        if (now < endsAt) {
          latenciesMs.push(now - sentAt);
          if (status >= 200 && status < 300) accepted++;
          else refused++;
        }
        send();
      });
      socket.on('error', () => errors++);
      socket.on('close', () => {
        clearTimeout(timer);
        resolve();
      });
    });

  await Promise.all(Array.from({ length: connections }, drive));
  records.close();
  latenciesMs.sort((a, b) => a - b);
  return {
    requestsPerSecond: (accepted + refused) / seconds,
    accepted,
    acceptedPerSecond: accepted / seconds,
    refused,
    errors,
    p50Ms: percentile(latenciesMs, 50),
    p99Ms: percentile(latenciesMs, 99),
    maxMs: latenciesMs.at(-1) ?? 0,
    wraps: records.wraps(),
  };
}

/** The status, once the answer is there whole. */
function completeAnswer(text: string): number | undefined {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd === -1) return undefined;
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? 0);
  return text.length >= headEnd + 4 + length ? Number(text.slice(9, 12)) : undefined;
}

function openRecords(path: string, recordBytes: number) {
  const file = openSync(path, 'r');
  const chunk = Buffer.alloc(recordBytes * 1_000);
  let filled = 0;
  let position = 0;
  let wraps = 0;
  const fill = () => {
    filled = readSync(file, chunk, 0, chunk.length, null);
    position = 0;
  };
  const rewind = () => {
    wraps++;
    filled = readSync(file, chunk, 0, chunk.length, 0);
    position = 0;
  };
  return {
    next: () => {
      if (position >= filled) fill();
      if (filled === 0) rewind();
      const record = Buffer.from(chunk.subarray(position, position + recordBytes));
      position += recordBytes;
      return record;
    },
    wraps: () => wraps,
    close: () => closeSync(file),
  };
}
