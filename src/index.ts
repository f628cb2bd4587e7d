// The public API of the package: what a team's handlers need.
export { Later, PermanentError } from './errors.ts';
export {
  type BatchContext,
  defineHandler,
  type Handler,
  type HandlerContext,
  type HandlerEvent,
  type HandlerTransaction,
} from './handlers.ts';
export type { Logger } from './logger.ts';
