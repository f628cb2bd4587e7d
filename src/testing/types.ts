// The public types of `postbell/testing`. They lead to no module that names a type of pg, pg-boss or zod: a team's TypeScript
// would check those as well.
import type { Row } from '../database/rows.ts';
import type { HandlerTransaction } from '../handlers/handler.ts';

export interface RowChange {
  /** As Postgres writes it: with the schema if the search_path does not have it. */
  table: string;
  /** The row as it was, its values as `pg` reads them; null for an inserted row. */
  before: Row | null;
  /** The row as the handler left it; null for a deleted row. */
  after: Row | null;
}

interface TrialFacts {
  /** Default: the handler's `source`, or else its provider's name. */
  source?: string;
  /** Default: with `body` the provider's id, else a random id. */
  id?: string;
  /** The provider's own time. Default: with `body` as the provider says, else none. */
  occurredAt?: Date;
  /** With `body` those of the request, e.g. a header with the topic; else those that are stored. Default: none. */
  headers?: Record<string, string>;
}

export interface TrialPayload extends TrialFacts {
  topic: string;
  /** Any JSON value. */
  payload: unknown;
  body?: never;
}

export interface TrialBody extends TrialFacts {
  /** As the provider sends it. No signature is needed, since nothing is verified. */
  body: string | Uint8Array;
  /** Default: as the receiver reads it. */
  topic?: string;
  payload?: never;
}

/** The event that a handler is run for. */
export type TrialEvent = TrialPayload | TrialBody;

export interface TrialDatabase {
  /** URL of a database on which `postbell migrate` has run. Nothing in it changes but sequences. */
  database: string;
  /** As POSTBELL_SCHEMA. Default: `public`. */
  schema?: string;
  /** Runs first in the same transaction, e.g. inserts the order that the handler needs. Not among the changes. */
  prepare?: (tx: HandlerTransaction) => Promise<unknown>;
  /** As HANDLER_TIMEOUT_SECONDS, in ms. Default: 10,000. */
  timeoutMs?: number;
}

export type RunOptions = TrialEvent &
  TrialDatabase & {
    /** 1 for the first attempt, the default; the 5th failure is final, as with the default of MAX_ATTEMPTS. */
    attempt?: number;
  };

export interface BatchOptions extends TrialDatabase {
  /** 1 to 200, each with an id of its own. */
  events: readonly TrialEvent[];
}

export interface BatchRun {
  /** `processed`: all events. `one by one`: `batch` failed, and a worker would run each event through `handle`. */
  outcome: 'processed' | 'one by one';
  /** Why `batch` failed, as in a worker's log. */
  reason?: string;
  /** The value that `batch` threw. */
  error?: unknown;
  /** Rows of the team's tables that `batch` inserted, updated or deleted; by table. Empty unless processed. */
  changes: RowChange[];
}

export interface HandlerRun {
  /**
   * As in a worker's log. `failed`: `status` tells whether another attempt follows. `deferred`: by Later.
   * `released`: another transaction holds the event's entity.
   */
  outcome: 'processed' | 'ignored' | 'failed' | 'deferred' | 'released';
  /** The event's status after the attempt; PENDING: it runs again. */
  status: 'PENDING' | 'PROCESSED' | 'FAILED' | 'IGNORED';
  /** Why the event was not processed, as in `last_error`, or `ignored_reason`. */
  reason?: string;
  /** With `failed` and `deferred`: the thrown value. */
  error?: unknown;
  /** Rows of the team's tables that the handler inserted, updated or deleted; by table. Empty unless processed. */
  changes: RowChange[];
}
