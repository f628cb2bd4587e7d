// The public API of the package, for the team's handlers.
import { nodeProblem } from './supported-node.ts';

export { Later, PermanentError } from './errors.ts';
export { type ForwardOptions, forwardTo } from './forward/forward-to.ts';
export {
  type BatchContext,
  defineHandler,
  type Handler,
  type HandlerCallback,
  type HandlerContext,
  type HandlerEvent,
  type HandlerResult,
  type HandlerStatement,
  type HandlerTransaction,
} from './handlers/handler.ts';
export type { StandardSchema } from './handlers/schema.ts';
export type { Logger } from './logger.ts';

const problem = nodeProblem(process.versions.node);
if (problem !== undefined) throw new Error(problem);
