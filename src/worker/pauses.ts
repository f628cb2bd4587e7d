// The pauses in force, as this worker knows them, and which events they hold. A worker without any pays nothing per event.
import type { Queryable } from '../database/database.ts';
import { type Pause, readPauses } from '../events/pauses.ts';
import { type Handler, handlersFor, matchesTopic } from '../handlers/handler.ts';

type EventOfHandlers = Parameters<typeof handlersFor>[1];

export class Pauses {
  readonly #database: Queryable;
  readonly #handlers: () => readonly Handler[];
  #list: readonly Pause[] = [];
  #started = 0;
  #reading: Promise<unknown> | undefined;
  /** The number of the read that `#list` is from; 0: none yet. */
  #newest = 0;

  constructor(database: Queryable, handlers: () => readonly Handler[]) {
    this.#database = database;
    this.#handlers = handlers;
  }

  /** False until they were read: no event may run before. */
  areKnown(): boolean {
    return this.#newest > 0;
  }

  /** Resolves when the last read that was started has ended, well or not. */
  async settled(): Promise<void> {
    await this.#reading?.catch(() => {}); // who started the read reports its error
  }

  read(): Promise<void> {
    const reading = this.#read();
    this.#reading = reading;
    return reading;
  }

  async #read(): Promise<void> {
    const number = ++this.#started;
    const list = await readPauses(this.#database);
    if (number < this.#newest) return;
    this.#newest = number;
    this.#list = list;
  }

  holdsNone(): boolean {
    return this.#list.length === 0;
  }

  holds(event: EventOfHandlers): boolean {
    return this.#list.length > 0 && this.idsFor(event).length > 0;
  }

  /** Ids of the pauses that hold the event. An event with several handlers waits if any of them is paused. */
  readonly idsFor = (event: EventOfHandlers): number[] => {
    let names: Set<string | undefined> | undefined;
    const isFor = (handler: string) => {
      names ??= new Set(handlersFor(this.#handlers(), event).map(({ name }) => name));
      return names.has(handler);
    };
    return this.#list
      .filter(
        ({ source, topic, handler }) =>
          (source === null || source === event.source) &&
          (topic === null || matchesTopic(topic, event.topic)) &&
          (handler === null || isFor(handler)),
      )
      .map(({ id }) => id);
  };
}
