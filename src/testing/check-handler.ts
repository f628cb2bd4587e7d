// What `runHandler` and `runBatch` check before they open the database.
import { type Handler, handlerProblem } from '../handlers/handler.ts';
import { providerProblem } from '../handlers/load.ts';

/** As HANDLER_TIMEOUT_SECONDS, in ms. */
export const trialTimeoutMs = 10_000;

/** @throws TypeError with the remedy */
export function checkHandler(handler: Handler): void {
  const problem = handlerProblem(handler) ?? providerProblem(handler.provider);
  if (problem !== undefined) throw new TypeError(problem);
}
