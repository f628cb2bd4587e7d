// How long handlers run: forecasts only. What a handler may do never depends on these figures.
import type { Handler } from '../handlers/handler.ts';

/** Weight of the past in a moving average. */
const kept = 0.9;
/** Assumed before anything has run. */
const initialMs = 50;

export class Timings {
  #eventMs = initialMs;
  // By the object: a handler that was loaded again is another one.
  readonly #handlerMs = new WeakMap<Handler, number>();

  /** An event needed a slot for `ms`, its share of the COMMIT included. */
  recordEvent(ms: number): void {
    this.#eventMs = this.#eventMs * kept + ms * (1 - kept);
  }

  recordHandler(handler: Handler, ms: number): void {
    const before = this.#handlerMs.get(handler);
    this.#handlerMs.set(handler, before === undefined ? ms : before * kept + ms * (1 - kept));
  }

  /** Of one event, lately. */
  eventMs(): number {
    return Math.max(this.#eventMs, 0.1);
  }

  handlerMs(handler: Handler): number {
    return Math.max(this.#handlerMs.get(handler) ?? initialMs, 0.1);
  }
}
