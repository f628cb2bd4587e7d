// The public API of `postbell/testing`, for tests of the team's handlers.
export { runBatch } from './run-batch.ts';
export { runHandler } from './run-handler.ts';
export type { BatchOptions, BatchRun, HandlerRun, RowChange, RunOptions, TrialEvent } from './types.ts';
