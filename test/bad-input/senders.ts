// The sources of the bad-input tests, with secrets that must never be seen again, and requests signed with them.
import { providers, type Source, signDelivery } from '../../src/providers/index.ts';
import { parseSources } from '../../src/providers/sources.ts';
import { type RawRequest, rawRequest } from './wire.ts';

/** Stands in bodies: what a customer would not want to read in a log. */
export const bodyCanary = 'PII-CANARY-4b0a';
export const metricsToken = 'METRICS-CANARY-0123456789';
const sendgridKey = providers.sendgrid.secret.generate();

export const sourceEnvironment: Record<string, string> = {
  POSTBELL_SOURCES: 'stripe-eu=stripe',
  PUBLIC_URL: 'https://postbell.test',
  STRIPE_WEBHOOK_SECRET: 'whsec_SECRET-CANARY-stripe-new,whsec_SECRET-CANARY-stripe-old',
  STRIPE_EU_WEBHOOK_SECRET: 'whsec_SECRET-CANARY-stripe-eu',
  GITHUB_WEBHOOK_SECRET: 'SECRET-CANARY-github-0001',
  SHOPIFY_WEBHOOK_SECRET: 'SECRET-CANARY-shopify-0001',
  SLACK_WEBHOOK_SECRET: 'SECRET-CANARY-slack-0001',
  ZOOM_WEBHOOK_SECRET: 'SECRET-CANARY-zoom-new-0001,SECRET-CANARY-zoom-old-0001',
  XERO_WEBHOOK_SECRET: 'SECRET-CANARY-xero-0001',
  META_WEBHOOK_SECRET: 'SECRET-CANARY-meta-0001',
  META_VERIFY_TOKEN: 'TOKEN-CANARY-meta-0001',
  SVIX_WEBHOOK_SECRET: `whsec_${Buffer.from('SECRET-CANARY-svix-00001').toString('base64')}`,
  LIVEKIT_WEBHOOK_SECRET: 'APIkeyOfLivekit:SECRET-CANARY-livekit-000000000001',
  POSTMARK_WEBHOOK_SECRET: 'postmark:SECRET-CANARY-postmark-0001',
  AWS_SNS_WEBHOOK_SECRET: 'arn:aws:sns:us-east-1:123456789012:orders',
  SENDGRID_WEBHOOK_SECRET: sendgridKey.secret,
};

/** What must appear in no answer, log, metric, error or argument list. */
export const canaries: readonly string[] = [
  bodyCanary,
  metricsToken,
  'SECRET-CANARY',
  'TOKEN-CANARY',
  sourceEnvironment.SVIX_WEBHOOK_SECRET!,
];

export const sources: ReadonlyMap<string, Source> = readSources();

function readSources(): Map<string, Source> {
  const { sources: found, problems } = parseSources(sourceEnvironment);
  if (problems.length) throw new Error(problems.join('\n'));
  return found;
}

export interface Wish {
  body?: string | Buffer;
  topic?: string;
  id?: string;
  /** When the provider signed; default now. */
  at?: Date;
  /** Which of the source's secrets; default the newest. */
  secretIndex?: number;
  /** Another secret altogether. */
  secret?: string;
}

export interface SignedRequest extends RawRequest {
  headers: (readonly [name: string, value: string])[];
  body: Buffer;
  path: string;
}

/** What the provider of that source would send, in parts that a test can spoil. */
export function signed(sourceName: string, wish: Wish = {}): SignedRequest {
  const source = sources.get(sourceName)!;
  const secret = wish.secret ?? source.secrets[wish.secretIndex ?? 0]!;
  const path = `/api/webhooks/${sourceName}`;
  const request = signDelivery(
    { ...source, secrets: [secret] },
    {
      url: `https://postbell.test${path}`,
      topic: wish.topic ?? 'bell.rung',
      now: wish.at ?? new Date(),
      ...(wish.body === undefined ? {} : { body: wish.body }),
      ...(wish.id === undefined ? {} : { id: wish.id }),
      ...(sourceName === 'sendgrid' ? { privateKey: sendgridKey.privateKey! } : {}),
    },
  );
  const url = new URL(request.url);
  return { path: url.pathname + url.search, headers: Object.entries(request.headers), body: request.body };
}

/** The same request with one header replaced, or without it. */
export function withHeader(request: SignedRequest, name: string, value: string | undefined): SignedRequest {
  const others = request.headers.filter(([known]) => known !== name);
  return { ...request, headers: value === undefined ? others : [...others, [name, value]] };
}

export const headerOf = (request: SignedRequest, name: string): string =>
  request.headers.find(([known]) => known === name)?.[1] ?? '';

export const bytesOf = (request: RawRequest): Buffer => rawRequest(request);

let count = 0;

/** A body of Stripe's kind with an id of its own, and the canary in it. */
export function stripeBody(further: Record<string, unknown> = {}): { id: string; body: string } {
  count++;
  const id = `evt_bad_${process.pid}_${count}`;
  const event = { id, type: 'bell.rung', data: { object: { note: bodyCanary } }, ...further };
  return { id: String(event.id), body: JSON.stringify(event) };
}

export const mebibyte = 1_048_576;

export const stripe = (): SignedRequest => signed('stripe', { body: stripeBody().body });

/** The head alone, with other framing than it should have: lines of `name: value` with `|` in between. */
export function headOf(request: SignedRequest, framing: string): Buffer {
  const lines = framing.split('|').map((line) => line.split(': ') as [string, string]);
  return rawRequest({ ...request, headers: [...request.headers, ...lines], body: '', framing: 'none' });
}
