// The types that the receiver and the providers share: deliveries, sources, events and the description of a provider.
import type { RecoverSpec } from './recover.ts';
import type { Redaction } from './redaction.ts';
import type { Template } from './template/parts.ts';

/** An HTTP request as received: bytes unchanged, headers never joined. */
export interface Delivery {
  method: string;
  /** Path and query as received, e.g. `/api/webhooks/shopify?token=1`. */
  url: string;
  /** Node's `headersDistinct`: lower-case name → every value sent under that name. */
  headers: Record<string, string[] | undefined>;
  body: Buffer;
  /** Time of arrival. Tolerances are measured against this time, never against a later clock. */
  receivedAt: Date;
}

/** A named endpoint: a provider's scheme with its secrets. The default name of a source is the provider's name. */
export interface Source {
  name: string;
  provider: Provider;
  /** Newest first; each of them is accepted. Public keys for public-key schemes. Never empty. */
  secrets: readonly string[];
  /** `<SOURCE>_VERIFY_TOKEN`: the token that a handshake like Meta's must repeat. */
  verifyToken?: string;
  /** The exact URL entered at the provider (`<SOURCE>_WEBHOOK_URL`, or PUBLIC_URL plus the path). */
  webhookUrl?: string;
  /** `<SOURCE>_REPEATED_BODIES=run`: equal bodies under different ids are normal, and each becomes an event. */
  runsRepeatedBodies?: boolean;
  /** `<SOURCE>_QUARANTINE_MB`: rejected requests are kept, up to so many MB. Absent: none is kept. */
  quarantineMb?: number;
  /** `<SOURCE>_REDACT`: values that are removed from the events before they are stored. */
  redaction?: Redaction;
  /** Fetches public keys; by default over HTTPS with a time limit. Tests set their own function. */
  fetchText?: (url: string, body?: string, headers?: Record<string, string>) => Promise<string>;
  /** PEM certificates that may end a chain; by default Node's trusted roots. Tests set their own. */
  trustedRoots?: readonly string[];
}

/** Why a delivery was rejected. For operators only: callers see the same body for all reasons. */
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
  /** For the operator, e.g. `312 s old`; holds no secret and nothing of the body. */
  detail?: string;
  /** With too_old and too_new: milliseconds from the request's own time to its arrival; negative for a time in the future. */
  ageMs?: number;
  /** With wrong_signature: the proof is genuine, but belongs to another body or URL. */
  mismatch?: 'body' | 'url';
}

export type Verdict = { ok: true /** Index into `source.secrets`. */; secretIndex: number } | Rejection;

/** One event read from a verified delivery; becomes one row and one job. */
export interface EventDraft {
  /** Stable over the provider's redeliveries, at most 255 characters (longer ids are hashed). */
  eventId: string;
  topic: string;
  /** The provider's own time of the event; null where the provider sends none. */
  occurredAt: Date | null;
  /** JSON text that Postgres' jsonb accepts, or null with `payloadError`. */
  payloadText: string | null;
  payloadError: PayloadError | null;
  /**
   * The exact bytes; in a batch, the bytes of the item's own JSON text (see also `body.credentials`). Set where
   * `payloadText` is null, or on demand. Of a source with a `redaction` never these bytes, see `redactBody`.
   */
  rawBody: Buffer | null;
  /**
   * SHA-256 of the raw body, or of `body.signedText` where the provider signs that text; in a batch, of the item's own
   * JSON text. See also `events.signedAt` and `events.signedToken`. Of a source with a `redaction` and a REDACT_KEY, its
   * HMAC by that key.
   */
  bodySha256: Buffer;
  /** True where the signature does not cover the id: the same body under another id is a suspected replay. */
  uniqueBody: boolean;
  /** With `uniqueBody`: the same body under another topic is another event. False where the signature covers only a part. */
  topicsShareBody: boolean;
}

/** Why there is no `payloadText`: jsonb would reject the text, or the body could not be read. */
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

/** A request that `signDelivery` builds. Schemes add their proof to the object itself. */
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

/** Verifies and signs requests. Built from data by the functions in `schemes/`. */
export interface Scheme {
  /** For people, e.g. `HMAC-SHA256 in X-Hub-Signature-256`. */
  readonly summary: string;
  /** Lower-case names of the headers that carry a proof or a credential: never stored, never logged. */
  readonly proofHeaders: readonly string[];
  /** Query parameters that carry a credential: a logged URL must not show them. */
  readonly proofParams: readonly string[];
  /** True where the provider repeats its proof header, once per secret: one of them must be valid. */
  readonly repeatsProof?: true;
  /**
   * Lower-case names of the further headers that verifying reads. A name that ends with `*` stands for all that begin so. With
   * `proofHeaders` enough to verify a stored request.
   */
  readonly readsHeaders?: readonly string[];
  /** Set where verifying reads the received query. */
  readonly readsQuery?: true;
  readonly signsBody: boolean;
  /** Set where the proof of some requests stands in their body. Of a scheme without header and parameter it is clear. */
  readonly provesInBody?: true;
  /** The proof that `sign` adds is a credential alone: nothing is signed. */
  readonly isCredential?: true;
  /**
   * Some requests are proven by a credential alone, or by a token that does not cover the body: who can read such a request
   * can send others. So none is kept in a quarantine.
   */
  readonly acceptsBearer?: true;
  readonly signsUrl: boolean;
  /** Set where the request's age is checked. */
  readonly freshness?: Freshness;
  /** Decodes the keys once. The returned verifier serves every delivery of the source. */
  prepare(source: Source): Verifier;
  /** Adds the proof with `source.secrets[0]`. Throws where the scheme needs a private key and none was given. */
  sign(request: OutgoingRequest, source: Source, options: SigningOptions): void;
}

export interface Freshness {
  pastSeconds: number;
  futureSeconds: number;
}

export interface SecretSpec {
  /** The provider's name for the secret, e.g. `Signing secret`. */
  label: string;
  /** The form of the secret, e.g. `whsec_…, used as text`. */
  format: string;
  /** Where to find the secret in the provider's settings. */
  where: string;
  /** The problem with the secret and the remedy, or undefined. The text never holds the secret. */
  check(secret: string): string | undefined;
  /** Makes a new, well-formed secret for tests and for `postbell send` in development. */
  generate(): GeneratedSecret;
}

export interface GeneratedSecret {
  secret: string;
  /** PEM; only for public-key schemes. */
  privateKey?: string;
}

/** How to read a body. Without any of these members, the body is JSON. */
export interface BodySpec {
  /** Bodies may also be form-encoded; `nested` turns `data[a]=1` into `{"data":{"a":"1"}}`. */
  form?: 'flat' | 'nested';
  /** Bodies may also be multipart forms: read as flat forms, with files as `{ filename, contentType, base64 }`. */
  multipart?: true;
  /**
   * The signed text, where the provider signs a text made of the body's fields and not the bytes. Many bodies give the
   * same text, so the body's hash is the hash of this text.
   */
  signedText?: Template;
  /** The form field whose JSON is the payload, e.g. Slack's `payload`. */
  jsonField?: string;
  /**
   * Paths of values that would also prove other events (a password in the body, a proof that does not cover the event).
   * They are never stored: the JSON without them replaces the exact bytes. `*`: each item of a list.
   */
  credentials?: readonly string[];
  /** For special bodies (multipart, a JWT, encrypted): the JSON text, or undefined where the body cannot be read. */
  extractJson?(delivery: Delivery, source: Source): string | undefined;
}

/** Where to find the facts of an event. A path (`json(…)`) starts at the body; in a batch, at the item. */
export interface EventSpec {
  /** Where absent, or not found in a delivery, the id is the hash of the body (in a batch, of the item). */
  id?: Template;
  /** No value stays the same over redeliveries: each redelivery becomes a separate event. Handlers must tolerate that. */
  idPerDelivery?: true;
  /**
   * The signed time, only where the id is not signed and bodies repeat ("this document changed"). An equal body with
   * another time is then a separate event; with the same time, a replay, whatever its id.
   */
  signedAt?: Template;
  /**
   * Only where the signature covers a token and not the event: that token, which then proves one event only. Otherwise
   * a person who has seen one delivery could send any number of events with its signature.
   */
  signedToken?: Template;
  topic: Template;
  occurredAt?: { at: Template; unit: TimeUnit };
  /** For bodies with several events: the items, or `tooMany`. Any other value means that the body is one event. */
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
   * A follow-up after the answer, e.g. confirming a subscription. Nobody waits for it. Resolves to a text for the log,
   * and must end within seconds. Only in the phase `verified`.
   */
  afterwards?: () => Promise<string>;
}

/** A set-up request that needs an exact answer and is no event. */
export interface Handshake {
  method: 'POST' | 'GET' | 'HEAD' | 'OPTIONS';
  /** `verified`: called only after the signature was verified. */
  phase: 'unsigned' | 'verified';
  /** `secretIndex`: index of the secret that verified the delivery; an answer with an HMAC must use the same secret. */
  answer(delivery: Delivery, source: Source, secretIndex: number): HandshakeAnswer | undefined;
}

/**
 * The provider generates the secret and hands it over in its first, unsigned request. Anybody who knows the URL could
 * send such a request, so a secret is accepted only while an operator waits for it (`postbell setup`).
 */
export interface Handover {
  /** The secret that a request hands over; undefined for all other requests. Must be cheap: called before verification. */
  read(delivery: Delivery): string | undefined;
  /** The answer that confirms the secret to the provider. */
  answer(secret: string): HandshakeAnswer;
  /** The operator's step at the provider once the setup window is open. */
  todo: string;
}

/**
 * The effect of an answer at the provider. `if-asked`: the provider sends again only where a setting, or the URL
 * entered there, asks for retries. `final`: the provider does not send again. `switches-off`: one such answer ends the
 * webhook.
 */
export type AnswerEffect = 'accepted' | 'retried' | 'if-asked' | 'final' | 'switches-off' | 'unknown';

/** How the provider treats our answers. Only facts with a source in `facts`; the rest is unknown. */
export interface AnswerFacts {
  /** Our answer to an event in words, where `acceptedAnswer` is a function. */
  accepted?: string;
  /** The statuses that count as success. Default: every 2xx. */
  success?: readonly number[];
  /** By status, by class, or `any` for all statuses without success; the most exact entry counts. */
  failure?: Readonly<Partial<Record<number | '4xx' | '5xx' | 'any', Exclude<AnswerEffect, 'accepted'>>>>;
}

/** The answer to a committed delivery; undefined: our own 200. Must be cheap and never throw. */
export type AcceptedAnswer = (
  delivery: Delivery,
  events: readonly EventDraft[],
) => HandshakeAnswer | undefined;

/** A realistic body for a topic: an object is sent as JSON, URLSearchParams as a form, text unchanged. */
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
  /** The source of each fact, which says how sure the fact is: L library, D documentation, T third party, M memory. */
  readonly facts: string;
  readonly scheme: Scheme;
  readonly secret: SecretSpec;
  /** False where a person with an old delivery could send it again under a new id. */
  readonly idIsSigned: boolean;
  readonly body?: BodySpec;
  /** Deliveries may also come by GET: Postbell then reads the query as a form body. */
  readonly sendsByGet?: true;
  readonly events: EventSpec;
  /** Headers worth keeping with the event, besides content-type and user-agent. Lower case. */
  readonly headers?: readonly string[];
  readonly handshakes?: readonly Handshake[];
  readonly handover?: Handover;
  /** The answer to an accepted delivery, where the provider does not accept our own 200. */
  readonly acceptedAnswer?: HandshakeAnswer | AcceptedAnswer;
  /** How the provider treats our answers. Default: unknown. */
  readonly answers?: AnswerFacts | 'unknown';
  /** The status that asks for a later retry, where the provider retries no other status. Default 503. Both carry Retry-After. */
  readonly unavailableStatus?: 429;
  /** The largest body that the provider sends. Postbell reads bodies of this size even where BODY_LIMIT_BYTES is smaller. */
  readonly bodyLimitBytes?: number;
  /** When the provider sends again, and which answers count as success. */
  readonly retries: string;
  /** How to get a delivery or an event again, and for how long. Absent: unknown. */
  readonly redelivery?: string;
  /** How Postbell itself gets what never arrived (`postbell recover`). Absent: not at all. */
  readonly recover?: RecoverSpec;
  /** Settings to enter at the provider besides the secret. Absent: unknown. */
  readonly setup?: {
    /** Where to enter the URL. */
    readonly url?: string;
    /** Which events to select. */
    readonly events?: string;
  };
  /** By topic; `*` serves every other topic. */
  readonly samples: Readonly<Record<string, Sample>>;
  /** The parts of the provider's requests besides body and proof. */
  readonly sending?: {
    newId?(): string;
    headers?(draft: SampleDraft): Record<string, string>;
    /** Default `application/json`, or form-encoded where the sample is URLSearchParams. */
    contentType?: string;
  };
  /** It sends no webhook: its events are only pulled, and its sources need no secret. */
  readonly isOnlyPulled?: true;
  /** For a provider that variables describe: `configure` builds it from the values of `<SOURCE>_<setting>`. */
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
