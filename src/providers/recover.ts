// How Postbell asks a provider for what never arrived: its list of events or of deliveries, as data of the catalogue.
import { scalarText, valueAt } from './body/body.ts';

/** A request to the provider's API. The credential is added by `RecoverSpec.authorize`. */
export interface ApiRequest {
  /** Default GET. */
  method?: 'POST';
  /** Begins with `/` and continues the API's address; or a link of an answer, which must lead to the same origin. */
  path: string;
  /** A list becomes a repeated parameter. */
  query?: Readonly<Record<string, string | readonly string[]>>;
  /** Sent as JSON. */
  body?: object;
}

export interface ApiAnswer {
  /** The parsed JSON. Numbers that JavaScript would round are raw JSON objects: read ids with `textAt`. */
  json: unknown;
  /** The header Link. */
  link: string | undefined;
}

/** The part of a list that a run asks for. */
export interface PageRequest {
  since: Date;
  until: Date;
  /** As `next` of the page before; undefined for the first page. */
  cursor: string | undefined;
  /** The value of the variable that `RecoverSpec.wants` names; empty without it. */
  wanted: string;
}

/** A list of the provider's API, read page by page. */
export interface ApiList {
  /** For people, e.g. `GET /v1/events`. */
  readonly endpoint: string;
  page(request: PageRequest): ApiRequest;
  /** @returns `items`: checked by the caller; `next`: undefined after the last page; `end`: only of a feed */
  read(
    answer: ApiAnswer,
    request: PageRequest,
  ): { items: unknown; next: string | undefined; end?: string | undefined };
  /**
   * The list is a feed: it cannot be asked for a stretch of time, and is read by its cursor alone. `end` is then the cursor
   * behind the last item, at which the next run begins; where it is undefined, the next run reads the last page again.
   */
  readonly isFeed?: true;
  /**
   * Only for a list that is sorted by time, newest first, and cannot be asked for the events since a time: the item's time.
   * Older items are left out, and the run ends at the first page that has none of the stretch.
   */
  timeOf?(item: unknown): string | undefined;
}

/** The API's events come in unsigned, through `accept`. */
export interface Pull extends ApiList {
  /** The body that the webhook of this item would have. Default: the item. */
  body?(item: unknown, wanted: string): unknown;
  readonly made?: MadeEvents;
}

/**
 * The list has things, not events: of each thing an event of its newest state is made, whose id begins with `made:`. It is
 * taken only where no stored event has that state or a newer one.
 */
export interface MadeEvents {
  /** The headers of the event's webhook: the provider's templates read id and topic from them. Undefined: it is no such thing. */
  headers(item: unknown): Readonly<Record<string, string>> | undefined;
  /** The topics of the events that carry the thing begin so. */
  topicStart(item: unknown): string;
  /** The thing's id, and the time of its newest state, in a body. */
  readonly idAt: string;
  readonly timeAt: string;
  /** A webhook of a state may arrive for so long, by all its retries: younger states are left for a later run. */
  readonly settledMs: number;
}

/** The provider sends a delivery again: signed, through the front door. */
export interface Redeliver extends ApiList {
  /** The delivery's name at the provider, and the keys of its events; undefined where it need not be sent again, or is another endpoint's. */
  delivery(item: unknown, wanted: string): { id: string; eventIds: readonly string[] } | undefined;
  again(deliveryId: string, wanted: string): ApiRequest;
  /** When the delivery was sent, by the time that the list is asked by: one of the last minute may be on its way. */
  sentAt(item: unknown): string | undefined;
}

export interface RecoverSpec {
  /** The credential and the least that it must be allowed, e.g. `restricted key with Events: Read`. */
  readonly key: string;
  /** The API's address. Undefined where each account has its own: then `<SOURCE>_API_URL` is needed. */
  readonly url?: string;
  /**
   * Where the API must be told what to list: the variable `<SOURCE>_API_<setting>` and its form. PATH: a thing of the account;
   * TOPICS; ENDPOINT: which webhook is ours, so that nothing is sent again to other endpoints of the account. Slashes at the
   * ends and blanks are taken out before.
   */
  readonly wants?: {
    readonly setting: 'PATH' | 'TOPICS' | 'ENDPOINT';
    readonly example: string;
    readonly pattern: RegExp;
    /** True: a source that is pulled does not need it. */
    readonly onlyToSendAgain?: true;
  };
  /** Hours for which the provider keeps its list. Undefined: unknown. */
  readonly keptHours?: number;
  /** The least time from one page to the next, where the provider allows only so many requests. */
  readonly pageGapMs?: number;
  /** The topic of a webhook that says only that the list has something new: a run then follows within 30 s. */
  readonly ringTopic?: string;
  /** The headers that carry the key. Never logged. */
  authorize(key: string): Readonly<Record<string, string>>;
  /**
   * Where the key only buys a token: the request for it, with its own headers, and the place of the token in the answer.
   * No request: the key is a token itself.
   * `authorize` then gets the token. A token that is not accepted any more is replaced once.
   */
  readonly token?: {
    request(
      key: string,
    ): { path: string; headers: Readonly<Record<string, string>>; form: string } | undefined;
    read(json: unknown): string | undefined;
  };
  readonly pull?: Pull;
  readonly redeliver?: Redeliver;
  /** What a recovered event lacks, or which events cannot be recovered, against webhooks. */
  readonly lost: string;
}

/** A string or number of an answer, numbers as written; undefined where there is none. `data.0.id` */
export function textAt(value: unknown, path: string): string | undefined {
  return scalarText(valueAt(value, path.split('.')));
}

/** The list at `path`; an answer without it is refused by the caller. */
export function listAt(value: unknown, path: string): unknown {
  return valueAt(value, path.split('.'));
}

/** The text at `path` of the last item: the cursor of lists that go on after an item. */
export function lastTextAt(items: unknown, path: string): string | undefined {
  return Array.isArray(items) ? textAt(items.at(-1), path) : undefined;
}

/** A key that is sent as it is: `Authorization: Bearer …`. */
export const bearer = (key: string): Record<string, string> => ({ authorization: `Bearer ${key}` });

/** The value of a query parameter in the link `rel="next"` of the header Link. */
export function nextLinkParam(link: string | undefined, name: string): string | undefined {
  return nextUrlParam(nextLink(link), name);
}

/** The value of a query parameter in the address of the next page. */
export function nextUrlParam(url: string | undefined, name: string): string | undefined {
  return URL.parse(url ?? '')?.searchParams.get(name) ?? undefined;
}

/** The address of the link `rel="next"` of the header Link. */
export function nextLink(link: string | undefined): string | undefined {
  return /<([^>]*)>\s*;[^<]*\brel="?next"?/.exec(link ?? '')?.[1];
}
