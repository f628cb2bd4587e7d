// The public API of `postbell/testing`, for tests of the team's handlers.
export type { RowChange } from './row-changes.ts';
export { type HandlerRun, type RunOptions, runHandler } from './run-handler.ts';
