// The parameters that every page of the operators gets.
import type { Logger } from '../logger.ts';
import type { OutgoingRequest } from '../providers/index.ts';
import type { KnownSources } from '../receive/rejection-remedies.ts';
import type { RecoverSchedule } from '../runtime/settings.ts';
import type { OpsInbox } from './inbox.ts';

export interface PageDeps extends KnownSources {
  inbox: OpsInbox;
  log: Logger;
  /** As STORE_RAW_BODY. */
  storesRawBody: boolean;
  schedule: RecoverSchedule;
  now: () => Date;
  /** Undefined: the page runs without a receiver. */
  deliver: Deliver | undefined;
  /** As LIVE_REQUESTS: requests are shown without a capture. */
  showsAll: boolean;
}

/** Hands a signed request of a source to our own receiver, as if it had arrived. Never rejects. */
export type Deliver = (source: string, request: OutgoingRequest) => Promise<{ status: number; body: string }>;
