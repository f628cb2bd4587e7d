// Where web and worker are killed, and what the database must hold afterwards.
import type { FailpointSite } from '../../src/failpoint.ts';

/** `isStored`: the event is in the database when web dies there. */
export const webSites: readonly { site: FailpointSite; isStored: boolean }[] = [
  { site: 'web.verified', isStored: false },
  { site: 'web.after-begin', isStored: false },
  { site: 'web.after-insert', isStored: false },
  { site: 'web.after-enqueue', isStored: false },
  { site: 'web.commit-sent', isStored: true },
  { site: 'web.after-commit', isStored: true },
  { site: 'web.after-reply', isStored: true },
];

/** `isDone`: the effect is in the database when the worker dies there. */
export const workerSites: readonly { site: FailpointSite; isDone: boolean }[] = [
  { site: 'worker.fetched', isDone: false },
  { site: 'worker.after-begin', isDone: false },
  { site: 'worker.after-handler', isDone: false },
  { site: 'worker.marked', isDone: false },
  { site: 'worker.commit-sent', isDone: true },
  { site: 'worker.after-commit', isDone: true },
  { site: 'worker.after-complete', isDone: true },
];

/** Passed only when the handler fails. */
export const failureSites: readonly FailpointSite[] = ['worker.before-fail', 'worker.after-fail'];

/** Passed when an event is released, replayed, found without its job, or given up. */
export const movingSites: readonly FailpointSite[] = [
  'worker.moved',
  'worker.redrive',
  'worker.reconcile',
  'worker.dead-letter',
];
