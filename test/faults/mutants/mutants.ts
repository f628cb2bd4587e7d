// Ways to break the promise (M1-M20), each with the fault that shows it: the ledger has to catch every one.
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
        find: 'const enqueuing = queue.enqueue(tx, jobs);',
        replace: 'const enqueuing = Promise.resolve();',
      },
      {
        file: 'src/receive/store.ts',
        find: '  const withdrawing = queue.withdraw(\n    tx,\n    idle.map(({ jobId }) => jobId),\n  );\n',
        replace: '  const withdrawing = Promise.resolve(idle && queue);\n',
      },
      {
        file: 'src/receive/store.ts',
        find: "    await failpoint('web.after-commit');\n",
        replace:
          "    await failpoint('web.after-commit');\n    if (inserted.size > 0) await database.transaction((tx) => options.queue.enqueue(tx, jobs));\n",
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
        find: '      markProcessed(tx, event, entry.job.id, entity);\n',
        replace: '',
      },
      {
        file: 'src/worker/attempt.ts',
        find: "    await failpoint('worker.after-commit');\n",
        replace:
          "    await failpoint('worker.after-commit');\n    if (result.kind === 'processed') await deps.database.transaction(async (tx) => markProcessed(tx, entry.event, entry.job.id, null));\n",
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
        find: 'if (inserted?.length !== some.length)',
        replace: 'if (inserted?.length !== some.length && some.length < 0)',
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
    title: "releases an event that is another job's",
    edits: [
      {
        file: 'src/events/jobs.ts',
        find: 'WHERE e.job_id = d.from_job AND ',
        replace: 'WHERE ',
      },
      {
        file: 'src/events/jobs.ts',
        find: 'AND e.event_id = f.event_id AND e.job_id = f.from_job\n        RETURNING',
        replace: 'AND e.event_id = f.event_id\n        RETURNING',
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
        file: 'src/events/release.ts',
        find: '=> failures >= deps.maxAttempts;',
        replace: '=> failures < 0;',
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
        find: '      await (span ? inSpan(span, () => handler.handle(context)) : handler.handle(context));\n',
        replace:
          '      await (span ? inSpan(span, () => handler.handle(context)) : handler.handle(context));\n      await handler.handle(context);\n',
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
        find: '{ ...draft, source,',
        replace:
          '{ ...draft, ...(draft.rawBody && { rawBody: Buffer.from(JSON.stringify(JSON.parse(String(draft.rawBody)))) }), source,',
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
        find: '.filter((event) => event.uniqueBody && isKnown(event))',
        replace: '.filter((event) => event.uniqueBody && isKnown(event) && event.source === event.eventId)',
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
    title: 'runs handlers whose rows are locked',
    edits: [
      {
        file: 'src/worker/attempt.ts',
        find: "    if ((await claimRows(deps.database, [claimOf(entry)])).length === 0) return { kind: 'unclaimed' };\n",
        replace: '    await claimRows(deps.database, [claimOf(entry)]);\n',
      },
    ],
    scenario: scenarios.lockedRow,
    invariant: 'A6',
  },
  {
    id: 'M16',
    title: 'starts an event that it still runs',
    edits: [
      {
        file: 'src/worker/job-buffer.ts',
        find: 'if (this.#running.has(entry.key) || !fits(entry)) at++;',
        replace: 'if (!fits(entry)) at++;',
      },
    ],
    scenario: scenarios.enqueuedAgainWhileItRuns,
    invariant: 'A9',
  },
  {
    id: 'M17',
    title: 'leaves an event behind in a list',
    edits: [
      {
        file: 'src/worker/entries.ts',
        find: 'const entries = job.events.flatMap(',
        replace: 'const entries = job.events.slice(0, Math.max(1, job.events.length - 1)).flatMap(',
      },
    ],
    scenario: scenarios.burst,
    invariant: 'A2',
  },
  {
    id: 'M18',
    title: 'forgets an event where it splits a list',
    edits: [
      {
        file: 'src/events/release.ts',
        find: 'const releases = events.map(',
        replace: 'const releases = events.slice(1).map(',
      },
    ],
    scenario: scenarios.workerKilledInBurst,
    invariant: 'A2',
  },
  {
    id: 'M19',
    title: 'releases an event that is PROCESSED',
    edits: [
      {
        file: 'src/events/jobs.ts',
        find: 'WHERE e.job_id = d.from_job AND ',
        replace: 'WHERE true OR ',
      },
      {
        file: 'src/events/jobs.ts',
        find: 'AND e.event_id = f.event_id AND e.job_id = f.from_job\n        RETURNING',
        replace: 'AND e.event_id = f.event_id\n        RETURNING',
      },
      {
        file: 'src/events/jobs.ts',
        find: "THEN 'FAILED' ELSE e.status END",
        replace: "THEN 'FAILED' ELSE 'PENDING' END",
      },
    ],
    scenario: scenarios.zombieFailsLate,
    invariant: 'A5',
  },
  {
    id: 'M20',
    title: 'does not count a failure',
    edits: [
      {
        file: 'src/events/jobs.ts',
        find: 'failures = e.failures + f.failures,',
        replace: 'failures = e.failures,',
      },
    ],
    scenario: scenarios.failsOnce,
    invariant: 'A7',
  },
];
