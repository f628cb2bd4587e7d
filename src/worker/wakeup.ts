// Lets a loop sleep until there is something to do.

export class Wakeup {
  #pending = Promise.withResolvers<void>();

  /** Ends the wait under way, or the next one. */
  wake(): void {
    this.#pending.resolve();
  }

  /** Resolves when woken, at the latest after `mostMs`. */
  async wait(mostMs: number): Promise<void> {
    // Not a race against a promise that outlives this wait: each wait would leave its reaction there.
    const timer = setTimeout(() => this.wake(), mostMs).unref();
    await this.#pending.promise;
    clearTimeout(timer);
    this.#pending = Promise.withResolvers();
  }
}
