// Ways to break the promise (M1-M16), each with the fault that shows it: the ledger has to catch every one.
import type pg from 'pg';
import * as scenarios from './scenarios.ts';
import type { Edit } from './source-copy.ts';

export interface Mutant {
  id: string;
  title: string;
  edits: readonly Edit[];
  /** Where the schema as well has to be broken. */
  prepare?: (pool: pg.Pool) => Promise<unknown>;
  scenario: scenarios.Scenario;
  /** The invariant that has to be named; others may be as well. */
  invariant: string;
}

export const mutants: readonly Mutant[] = [
  {
    id: 'M1',
    title: 'answers before COMMIT',
    edits: [
      {
        file: 'src/receive/commit-batch.ts',
        find: '    const receipts = await deliveryStore.store(batch.map((pending) => pending.events));\n',
        replace:
          '    for (const pending of batch) pending.answer({ duplicate: false });\n    const receipts = await deliveryStore.store(batch.map((pending) => pending.events));\n',
      },
    ],
    scenario: scenarios.webKilledBeforeCommit,
    invariant: 'A1',
  },
  {
    id: 'M2',
    title: 'enqueues after COMMIT, in a second transaction',
    edits: [
      {
        file: 'src/receive/store.ts',
        find: 'const enqueuing = queue.enqueue(tx, events);',
        replace: 'const enqueuing = Promise.resolve();',
      },
      {
        file: 'src/receive/store.ts',
        find: 'const withdrawing = queue.withdraw(tx, known);',
        replace: 'const withdrawing = Promise.resolve();',
      },
      {
        file: 'src/receive/store.ts',
        find: "    await failpoint('web.after-commit');\n",
        replace:
          "    await failpoint('web.after-commit');\n    await database.transaction((tx) => options.queue.enqueue(tx, unique.filter((event) => isNew.has(event.jobId))));\n",
      },
    ],
    scenario: scenarios.webKilledAfterCommit,
    invariant: 'A2',
  },
  {
    id: 'M3',
    title: 'has no unique key: reads first, then inserts',
    edits: [{ file: 'src/events/insert.ts', find: '        ON CONFLICT DO NOTHING\n', replace: '' }],
    prepare: (pool) =>
      pool.query(`ALTER TABLE webhook_events DROP CONSTRAINT webhook_events_pkey CASCADE;
        CREATE INDEX ON webhook_events (source, event_id)`),
    scenario: scenarios.concurrentDuplicates,
    invariant: 'A3',
  },
  {
    id: 'M4',
    title: 'lets the handler write on another connection',
    edits: [
      {
        file: 'src/worker/attempt.ts',
        find: '        tx: guarded.tx,\n',
        replace: '        tx: { query: (text, values) => deps.database.query(text, values) },\n',
      },
    ],
    scenario: scenarios.workerKilledBeforeCommit,
    invariant: 'A5',
  },
  {
    id: 'M5',
    title: 'marks PROCESSED in a second transaction',
    edits: [
      {
        file: 'src/worker/attempt.ts',
        find: '        markProcessed(tx, event, job.id, entity);\n',
        replace: '',
      },
      {
        file: 'src/worker/attempt.ts',
        find: "    await failpoint('worker.after-commit');\n",
        replace:
          "    await failpoint('worker.after-commit');\n    if (outcome.kind === 'processed') await deps.database.transaction(async (tx) => markProcessed(tx, event, job.id, null));\n",
      },
    ],
    scenario: scenarios.workerKilledAfterCommit,
    invariant: 'A5',
  },
  {
    id: 'M6',
    title: 'goes on when pg-boss inserted no job',
    edits: [
      {
        file: 'src/queue/open-queue.ts',
        find: 'if (inserted?.length !== newJobs.length) {',
        replace: 'if (inserted?.length !== newJobs.length && newJobs.length < 0) {',
      },
    ],
    scenario: scenarios.jobsNotInserted,
    invariant: 'A2',
  },
  {
    id: 'M7',
    title: 'takes the tag ROLLBACK for COMMIT',
    edits: [
      {
        file: 'src/database/transaction.ts',
        find: "    if (ended.at(-1)?.command !== 'COMMIT') throw new CommitRolledBackError();\n",
        replace: '    if (!ended.at(-1)) throw new CommitRolledBackError();\n',
      },
    ],
    scenario: scenarios.commitRolledBack,
    invariant: 'A1',
  },
  {
    id: 'M8',
    title: 'settles jobs without the fence',
    edits: [
      {
        file: 'src/queue/open-queue.ts',
        find: 'function attemptOf({ id, retryCount }: Attempt): Attempt {\n  return { id, retryCount };\n',
        replace: 'function attemptOf({ id }: Attempt): Attempt {\n  return id as unknown as Attempt;\n',
      },
    ],
    scenario: scenarios.zombieFails,
    invariant: 'A9',
  },
  {
    id: 'M9',
    title: 'sets FAILED in the catch only',
    edits: [
      {
        file: 'src/maintenance/reconcile.ts',
        find: 'jobId !== null && (await markFailed(',
        replace: 'jobId === undefined && (await markFailed(',
      },
      {
        file: 'src/worker/failure.ts',
        find: 'if (!(await recordFailure(tx, failure, isFinal))) return false;',
        replace: 'if (!(await recordFailure(tx, failure, isFinal || isDead))) return false;',
      },
    ],
    scenario: scenarios.crashOnEveryAttempt,
    invariant: 'A6',
  },
  {
    id: 'M10',
    title: 'runs the handler twice',
    edits: [
      {
        file: 'src/worker/attempt.ts',
        find: '      await handler.handle(context);\n',
        replace: '      await handler.handle(context);\n      await handler.handle(context);\n',
      },
    ],
    scenario: scenarios.noFault,
    invariant: 'A5',
  },
  {
    id: 'M11',
    title: 'stores JSON written again instead of the bytes',
    edits: [
      {
        file: 'src/receive/accept.ts',
        find: '({ ...draft, source,',
        replace:
          '({ ...draft, ...(draft.rawBody && { rawBody: Buffer.from(JSON.stringify(JSON.parse(String(draft.rawBody)))) }), source,',
      },
    ],
    scenario: scenarios.noFault,
    invariant: 'A1',
  },
  {
    id: 'M12',
    title: 'commits asynchronously',
    edits: [
      {
        file: 'src/receive/store.ts',
        find: "  synchronous_commit: 'on',\n",
        replace: "  synchronous_commit: 'off',\n",
      },
    ],
    scenario: scenarios.databaseCrash,
    invariant: 'A1',
  },
  {
    id: 'M13',
    title: 'swallows a repeated body under another id',
    edits: [
      {
        file: 'src/receive/store.ts',
        find: '    known.filter((event) => event.uniqueBody),\n',
        replace: '    known.filter((event) => event.uniqueBody && event.source === event.eventId),\n',
      },
    ],
    scenario: scenarios.repeatedBodies,
    invariant: 'A1',
  },
  {
    id: 'M14',
    title: 'runs a repeated body under another id',
    edits: [
      {
        file: 'src/providers/read-events.ts',
        find: '    uniqueBody: !idIsSigned && (isSignedInPart || !runsRepeatedBodies),\n',
        replace: '    uniqueBody: false,\n',
      },
    ],
    scenario: scenarios.repeatedBodies,
    invariant: 'A14',
  },
  {
    id: 'M15',
    title: 'runs handlers whose rows are held',
    edits: [
      {
        file: 'src/worker/worker.ts',
        find: '    if (due.length === 0) return new Set();\n',
        replace: '    if (due.length >= 0) return new Set();\n',
      },
    ],
    scenario: scenarios.heldRow,
    invariant: 'A6',
  },
  {
    id: 'M16',
    title: 'starts an event that it still runs',
    edits: [
      {
        file: 'src/worker/worker.ts',
        find: 'const here = hand.alreadyHere(fetched);',
        replace: 'const here = new Set<ClaimedJob>();',
      },
    ],
    scenario: scenarios.enqueuedAgainWhileItRuns,
    invariant: 'A9',
  },
];
