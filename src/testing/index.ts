// The public API of `postbell/testing`, for tests of the team's handlers.
export { runHandler } from './run-handler.ts';
export type { HandlerRun, RowChange, RunOptions } from './types.ts';
