// Throws the requests of a seed at a web process, several to a connection, and reports what should not be.
import { createHash } from 'node:crypto';
import { isRunning } from '../support/processes.ts';
import { type FuzzRequest, fuzzRequest } from './fuzz-requests.ts';
import { signed, stripeBody } from './senders.ts';
import { accepted, type Stage } from './stage.ts';

const maxPerConnection = 40;
const connections = 16;
const quietMs = 100;
const maxReported = 20;
/** Their bodies are cut into events, which have hashes of their own. */
const batchSources = new Set(['meta', 'xero', 'sendgrid']);
const answerTimeoutMs = 30_000;

export interface FuzzReport {
  seed: number;
  requests: number;
  seconds: number;
  /** Answers by status. */
  statuses: Record<string, number>;
  /** What was wrong, each with the number of its request; at most 20. */
  problems: string[];
  /** p99 of the delay of web's event loop. */
  lagSeconds: number;
  /** Of the valid delivery at the end. */
  lastAnswerMs: number;
}

export async function fuzz(stage: Stage, seed: number, requests: number): Promise<FuzzReport> {
  const startedAt = performance.now();
  const problems: string[] = [];
  const report = (problem: string) => {
    if (problems.length < maxReported) problems.push(problem);
  };
  const acknowledged = new Set<string>();
  const signedBodies = new Set<string>();
  let next = 0;

  function takeBatch(): FuzzRequest[] {
    const batch: FuzzRequest[] = [];
    while (next < requests && batch.length < maxPerConnection) {
      const request = fuzzRequest(seed, next++);
      batch.push(request);
      if (request.signedBody) signedBodies.add(sha256(request.signedBody));
      if (request.isLast) break;
    }
    return batch;
  }

  async function converse(): Promise<void> {
    for (let batch = takeBatch(); batch.length; batch = takeBatch()) {
      const last = batch.at(-1)!;
      const conversation = await stage.exchange(Buffer.concat(batch.map(({ bytes }) => bytes)), {
        timeoutMs: answerTimeoutMs,
        answers: batch.length,
        // It may have lost its end: web would wait for it, and then answer 408.
        ...(last.isLast && { quietMs }),
      });
      const answers = conversation.answers.filter(({ status }) => status !== 100);
      for (const [index, request] of batch.entries()) {
        const answer = answers[index];
        const name = `request ${request.n} (${request.kind}, ${request.source})`;
        if (!answer && !request.isLast) report(`${name}: no answer`);
        const problem = answer && request.problemOf(answer);
        if (problem) report(`${name}: ${problem} ${answer.body.slice(0, 80)}`);
        if (
          answer?.body === accepted &&
          request.signedBody &&
          !request.isLast &&
          !batchSources.has(request.source)
        )
          acknowledged.add(sha256(request.signedBody));
      }
    }
  }
  await Promise.all(Array.from({ length: connections }, converse));

  const seconds = (performance.now() - startedAt) / 1_000;
  for (const problem of stage.problems) report(problem);
  for (const problem of await comparedWithTables(stage, acknowledged, signedBodies)) report(problem);
  if (!isRunning(stage.web.pid)) report('web has ended');
  for (const line of stage.web.logs.filter(({ level = 0 }) => level >= 50))
    report(`web logged ${JSON.stringify(line)}`);
  const askedAt = performance.now();
  const { status } = await stage.send(signed('stripe', { body: stripeBody().body }));
  if (status !== 200) report(`a valid delivery afterwards: ${status}`);
  const lastAnswerMs = Math.round(performance.now() - askedAt);
  await stage.metrics();
  return {
    seed,
    requests,
    seconds: Math.round(seconds * 10) / 10,
    statuses: Object.fromEntries([...stage.statuses].sort(([a], [b]) => a - b)),
    problems,
    lagSeconds: stage.lags.at(-1)!.p99Seconds,
    lastAnswerMs,
  };
}

/** Every acknowledged body is stored, and no body that was not signed. */
async function comparedWithTables(
  stage: Stage,
  acknowledged: Set<string>,
  signedBodies: Set<string>,
): Promise<string[]> {
  const { rows } = await stage.pool.query<{ source: string; sha256: string }>(
    `SELECT source, encode(body_sha256, 'hex') AS sha256 FROM webhook_events WHERE source <> ALL ($1)`,
    [[...batchSources]],
  );
  const stored = new Set(rows.map((row) => row.sha256));
  return [
    ...rows
      .filter((row) => !signedBodies.has(row.sha256))
      .map((row) => `stored and never signed: ${row.source} ${row.sha256}`),
    ...[...acknowledged]
      .filter((hash) => !stored.has(hash))
      .map((hash) => `acknowledged and not stored: ${hash}`),
  ];
}

const sha256 = (data: Buffer) => createHash('sha256').update(data).digest('hex');
