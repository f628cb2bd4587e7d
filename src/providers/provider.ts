// The words the receiver and the providers share: what a delivery is, and what a provider can be asked.
import type { Template } from './template/parts.ts';

/** One HTTP request as it came in: bytes untouched, headers never joined. */
export interface Delivery {
  method: string;
  /** Path and query as received, e.g. `/api/webhooks/shopify?token=1`. */
  url: string;
  /** Node's `headersDistinct`: lower-case name → every value that was sent under it. */
  headers: Record<string, string[] | undefined>;
  body: Buffer;
  /** Time of arrival: tolerances are measured against it, never against a later clock. */
  receivedAt: Date;
}

/** One named endpoint: a provider's scheme with its secrets. Bears the provider's name unless it was named. */
export interface Source {
  name: string;
  provider: Provider;
  /** Newest first; any of them is accepted. For public-key schemes these are public keys. Never empty. */
  secrets: readonly string[];
  /** `<SOURCE>_VERIFY_TOKEN`: what a handshake of Meta's kind must repeat. */
  verifyToken?: string;
  /** The exact URL typed in at the provider (`<SOURCE>_WEBHOOK_URL`, or PUBLIC_URL plus the path). */
  webhookUrl?: string;
  /** `<SOURCE>_REPEATED_BODIES=run`: equal bodies under different ids are normal, each is an event. */
  runsRepeatedBodies?: boolean;
  /** How public keys are fetched; by default over HTTPS with a time limit. Tests put their own here. */
  fetchText?: (url: string, body?: string, headers?: Record<string, string>) => Promise<string>;
  /** PEM certificates that may end a chain; by default those that Node trusts. Tests put their own here. */
  trustedRoots?: readonly string[];
}

/** Why a delivery was rejected. For operators only: the caller sees one body for all reasons. */
export type RejectionReason =
  | 'missing_header'
  | 'repeated_header'
  | 'malformed_signature'
  | 'malformed_timestamp'
  | 'too_old'
  | 'too_new'
  | 'wrong_signature'
  | 'missing_url'
  | 'key_unavailable';

export interface Rejection {
  ok: false;
  reason: RejectionReason;
  /** For the operator, e.g. `312 s old`; holds no secret, no body. */
  detail?: string;
  /** With too_old and too_new: how far before the arrival the request was made; negative if after. */
  ageMs?: number;
  /** With wrong_signature: the proof is genuine, but for another body or URL than these. */
  mismatch?: 'body' | 'url';
}

export type Verdict = { ok: true /** Index into `source.secrets`. */; secretIndex: number } | Rejection;

/** One event read from a verified delivery; becomes one row and one job. */
export interface EventDraft {
  /** Stable over the provider's redeliveries, at most 255 characters (longer ids are hashed). */
  eventId: string;
  topic: string;
  /** The provider's own time of the event; null where it sends none. */
  occurredAt: Date | null;
  /** JSON text that Postgres' jsonb accepts, or null with `payloadError`. */
  payloadText: string | null;
  payloadError: PayloadError | null;
  /**
   * The exact bytes, in a batch those of the item's own JSON text (see also `body.credentials`); set where `payloadText` is
   * null, or on demand.
   */
  rawBody: Buffer | null;
  /**
   * Of the raw body (of `body.signedText` where that is what is signed; see also `events.signedAt` and
   * `events.signedToken`); in a batch, of the item's own JSON text.
   */
  bodySha256: Buffer;
  /** True where the signature does not cover the id: the same body under another id is a suspected replay. */
  uniqueBody: boolean;
  /** With `uniqueBody`: the same body under another topic is another event, as where the topic is in an unsigned header. */
  topicsShareBody: boolean;
}

/** Why there is no `payloadText`: jsonb would refuse it, or nobody could read it. */
export type PayloadError =
  | 'empty'
  | 'malformed'
  | 'nul'
  | 'surrogate'
  | 'utf8'
  | 'too_deep'
  | 'number'
  | 'too_many';

export type Verifier = (delivery: Delivery) => Verdict | Promise<Verdict>;

/** A request on its way out of `signDelivery`; schemes add their proof to it in place. */
export interface OutgoingRequest {
  method: string;
  /** Absolute. */
  url: string;
  /** Lower-case names. */
  headers: Record<string, string>;
  body: Buffer;
}

export interface SigningOptions {
  now: Date;
  /** PEM of the private half, for schemes whose `secrets` are public keys. */
  privateKey?: string;
}

/** How requests are proven, both ways. Built from data by the functions in `schemes/`. */
export interface Scheme {
  /** For people, e.g. `HMAC-SHA256 in X-Hub-Signature-256`. */
  readonly summary: string;
  /** Lower-case names of the headers that carry a proof or a credential: never kept, never logged. */
  readonly proofHeaders: readonly string[];
  /** Query parameters that carry a credential: a logged URL must not show them. */
  readonly proofParams: readonly string[];
  /** True where the provider repeats its proof header, once per secret: one of them must hold. */
  readonly repeatsProof?: true;
  readonly signsBody: boolean;
  readonly signsUrl: boolean;
  /** Set where the request's age is checked. */
  readonly freshness?: Freshness;
  /** Decodes the keys once; the verifier then serves every delivery of the source. */
  prepare(source: Source): Verifier;
  /** Adds the proof with `source.secrets[0]`. Throws where only the provider holds the key and none was given. */
  sign(request: OutgoingRequest, source: Source, options: SigningOptions): void;
}

export interface Freshness {
  pastSeconds: number;
  futureSeconds: number;
}

export interface SecretSpec {
  /** What the provider calls it, e.g. `Signing secret`. */
  label: string;
  /** What it looks like, e.g. `whsec_…, used as text`. */
  format: string;
  /** Where to find it in the provider's settings. */
  where: string;
  /** What is wrong with it, or undefined. The answer never holds the secret. */
  check(secret: string): string | undefined;
  /** A fresh, well-formed one for tests and for `postbell send` in development. */
  generate(): GeneratedSecret;
}

export interface GeneratedSecret {
  secret: string;
  /** PEM; only for public-key schemes. */
  privateKey?: string;
}

/** How a body is read. Without any of these it is JSON. */
export interface BodySpec {
  /** Form-encoded bodies are expected too; `nested` turns `data[a]=1` into `{"data":{"a":"1"}}`. */
  form?: 'flat' | 'nested';
  /** Multipart forms are expected too: read as flat ones, with files as `{ filename, contentType, base64 }`. */
  multipart?: true;
  /**
   * Where the signature is over a text made of the body's fields, not over the bytes: that text. One text can be spelled
   * as many bodies, so the hash of the body is made of the text.
   */
  signedText?: Template;
  /** The form field whose JSON is the payload, e.g. Slack's `payload`. */
  jsonField?: string;
  /**
   * Paths of values that are good for more than this event (a password in the body, a proof that does not cover the event):
   * they are never stored, and with one of them the JSON without it stands in for the exact bytes. `*`: each item of a list.
   */
  credentials?: readonly string[];
  /** For the odd ones (multipart, a JWT, encrypted): the JSON text, or undefined if it cannot be had. */
  extractJson?(delivery: Delivery, source: Source): string | undefined;
}

/** Where the facts of an event are. A path (`json(…)`) starts at the body, in a batch at the item. */
export interface EventSpec {
  /** Absent, or not found in a delivery: the id is the hash of the body (of the item). */
  id?: Template;
  /** Nothing stays over redeliveries: each becomes an event of its own, which handlers must bear. */
  idPerDelivery?: true;
  /**
   * Only where the id is not signed and bodies repeat ("this document changed"): the signed time. An equal body at
   * another time is then an event of its own; at the same time it is a replay, whatever id it bears.
   */
  signedAt?: Template;
  /**
   * Only where the signature covers no event, but a token beside it: that token, which is then good for one event.
   * Without this, whoever has seen one delivery could put event after event beside its signature.
   */
  signedToken?: Template;
  topic: Template;
  occurredAt?: { at: Template; unit: TimeUnit };
  /** Several events in one body: its items, or `tooMany`; anything else means that the body is one event. */
  items?(body: unknown): unknown;
}

export type TimeUnit = 's' | 'ms' | 'iso' | 'iso-utc' | 'http-date';

export interface HandshakeAnswer {
  status: number;
  contentType: string;
  /** At most 1 KB. */
  body: string;
  headers?: Record<string, string>;
  /**
   * What has to be done once the answer is on its way, e.g. confirming a subscription: never waited for. It resolves to
   * what was done, for the log, and must end by itself within seconds. Only in the phase `verified`.
   */
  afterwards?: () => Promise<string>;
}

/** A set-up request that wants an exact answer and is no event. */
export interface Handshake {
  method: 'POST' | 'GET' | 'HEAD' | 'OPTIONS';
  /** `verified`: asked only after the signature was found good. */
  phase: 'unsigned' | 'verified';
  /** `secretIndex`: which secret was found right; keyed answers must use the same one. */
  answer(delivery: Delivery, source: Source, secretIndex: number): HandshakeAnswer | undefined;
}

/**
 * The provider makes up the secret and hands it over in its first, unsigned request. Whoever knows the URL could do so:
 * it is taken only while an operator waits for it (`postbell setup`).
 */
export interface Handover {
  /** The secret that a request hands over; undefined where it is none of this kind. Cheap: it is asked first. */
  read(delivery: Delivery): string | undefined;
  /** What tells the provider that it was taken. */
  answer(secret: string): HandshakeAnswer;
  /** What the operator does at the provider once the window is open. */
  todo: string;
}

/**
 * What becomes of a delivery at the provider once it has this answer. `if-asked`: sent again only where a setting at the
 * provider, or in the URL given to it, asks for that. `final`: never sent again by itself. `switches-off`: one such answer
 * ends the webhook.
 */
export type AnswerEffect = 'accepted' | 'retried' | 'if-asked' | 'final' | 'switches-off' | 'unknown';

/** What the provider makes of answers. Only what `facts` has a source for: the rest is unknown. */
export interface AnswerFacts {
  /** Our answer to an event in words, where `acceptedAnswer` is a function. */
  accepted?: string;
  /** The statuses that count as success. Default: every 2xx. */
  success?: readonly number[];
  /** By status, by class, or `any` for all that is no success; the most exact of them counts. */
  failure?: Readonly<Partial<Record<number | '4xx' | '5xx' | 'any', Exclude<AnswerEffect, 'accepted'>>>>;
}

/** Made of the delivery and what was read from it; undefined: our own 200. Cheap, and never throws. */
export type AcceptedAnswer = (
  delivery: Delivery,
  events: readonly EventDraft[],
) => HandshakeAnswer | undefined;

/** A realistic body for a topic: an object is sent as JSON, URLSearchParams as a form, text as it is. */
export type Sample = (draft: SampleDraft) => object | URLSearchParams | string;

export interface SampleDraft {
  topic: string;
  id: string;
  now: Date;
}

export interface Provider {
  readonly name: string;
  readonly title: string;
  readonly docsUrl?: string;
  /** Where each fact comes from and how sure it is: L library, D documentation, T third party, M memory. */
  readonly facts: string;
  readonly scheme: Scheme;
  readonly secret: SecretSpec;
  /** False where someone with an old delivery could send it again under a new id. */
  readonly idIsSigned: boolean;
  readonly body?: BodySpec;
  /** Deliveries may come by GET, too: the query is then read as the body, a form. */
  readonly sendsByGet?: true;
  readonly events: EventSpec;
  /** Headers worth keeping with the event, besides content-type and user-agent. Lower case. */
  readonly headers?: readonly string[];
  readonly handshakes?: readonly Handshake[];
  readonly handover?: Handover;
  /** What an accepted delivery must be answered with, where our own 200 would not do. */
  readonly acceptedAnswer?: HandshakeAnswer | AcceptedAnswer;
  /** What it makes of our answers. Default: unknown. */
  readonly answers?: AnswerFacts | 'unknown';
  /** The status of "not now" where the provider retries nothing else. Default 503. Both carry Retry-After. */
  readonly unavailableStatus?: 429;
  /** The largest body that it sends, where that is more than BODY_LIMIT_BYTES may be: read up to this size all the same. */
  readonly bodyLimitBytes?: number;
  /** When the provider sends again, and what it counts as success. */
  readonly retries: string;
  /** How a delivery or an event can be had again, and for how long. Absent: unknown. */
  readonly redelivery?: string;
  /** What is typed in at the provider besides the secret. Absent: unknown. */
  readonly setup?: {
    /** Where the URL is pasted. */
    readonly url?: string;
    /** Which events to pick. */
    readonly events?: string;
  };
  /** By topic; `*` serves every other topic. */
  readonly samples: Readonly<Record<string, Sample>>;
  /** What the provider puts on its requests besides the body and the proof. */
  readonly sending?: {
    newId?(): string;
    headers?(draft: SampleDraft): Record<string, string>;
    /** Default `application/json`, or form-encoded where the sample is URLSearchParams. */
    contentType?: string;
  };
  /** For a provider described by variables: `<SOURCE>_<name>` of each of `settings` makes the real one. */
  readonly settings?: readonly string[];
  configure?(
    values: Readonly<Record<string, string>>,
  ): { provider: Provider } | { problems: SettingProblem[] };
}

export interface SettingProblem {
  /** One of `settings`. */
  name: string;
  problem: string;
}
