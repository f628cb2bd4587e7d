// The nth request of a seed: a delivery that was spoilt in one of five ways, and which answers to it are right.
import { mutateBytes, mutateHeaderValue, mutateJson } from './mutate.ts';
import { createRandom, type Random } from './random.ts';
import { bytesOf, headerOf, type SignedRequest, signed, withHeader } from './senders.ts';
import { type Answer, rawRequest } from './wire.ts';

export type Kind = 'signature' | 'body' | 'json' | 'headers' | 'bytes';

export interface FuzzRequest {
  n: number;
  kind: Kind;
  source: string;
  bytes: Buffer;
  /** What is wrong with this answer; undefined: nothing. */
  problemOf(answer: Answer): string | undefined;
  /** Its framing is broken, or its answer closes the connection: nothing can follow it. */
  isLast: boolean;
  /** The body, if it is rightly signed for it. */
  signedBody?: Buffer;
}

/** Whose signature covers the body, with the header of their proof. */
const signers = {
  stripe: 'stripe-signature',
  'stripe-eu': 'stripe-signature',
  github: 'x-hub-signature-256',
  shopify: 'x-shopify-hmac-sha256',
  slack: 'x-slack-signature',
  zoom: 'x-zm-signature',
  xero: 'x-xero-signature',
  meta: 'x-hub-signature-256',
  svix: 'svix-signature',
  livekit: 'authorization',
  sendgrid: 'x-twilio-email-event-webhook-signature',
} as const;
const names = Object.keys(signers) as (keyof typeof signers)[];
const kinds: readonly Kind[] = ['signature', 'signature', 'body', 'body', 'json', 'json', 'headers', 'bytes'];
const rejections = new Set([400, 401, 404, 405, 408, 413, 415, 417, 431]);
const isRefused = ({ status }: Answer) => (status === 401 ? undefined : `${status} instead of 401`);
const isAccepted = ({ status }: Answer) => (status === 200 ? undefined : `${status} instead of 200`);
const isHonest = ({ status }: Answer) => (status === 200 || rejections.has(status) ? undefined : `${status}`);

export function fuzzRequest(seed: number, n: number): FuzzRequest {
  const random = createRandom(seed, n);
  const kind = random.pick(kinds);
  // Postmark repeats a password: what is in its body is for everybody to choose.
  const source = kind === 'json' && random.chance(0.05) ? 'postmark' : random.pick(names);
  const common = { n, kind, source, isLast: false };
  const text = baseBody(random, n);
  if (kind === 'json') {
    const body = randomSize(random, mutateJson(random, text));
    const request = signed(source, { body, id: idOf(random, n) });
    return { ...common, bytes: bytesOf(request), problemOf: isAccepted, signedBody: request.body };
  }
  const request = signed(source, { body: text, id: idOf(random, n) });
  if (kind === 'signature')
    return { ...common, ...spoilSignature(random, request, signers[source as keyof typeof signers]) };
  if (kind === 'body') {
    const body = mutateBytes(random, request.body);
    const isSame = body.equals(request.body);
    return {
      ...common,
      bytes: bytesOf({ ...request, body }),
      problemOf: isSame ? isAccepted : isRefused,
      ...(isSame && { signedBody: body }),
    };
  }
  if (kind === 'headers') return { ...common, ...spoilHeaders(random, request), signedBody: request.body };
  const bytes = mutateBytes(
    random,
    rawRequest({ ...request, framing: random.pick(['content-length', 'chunked']) }),
  );
  // The signature may still hold, and then it is a delivery; or there is a second request in it.
  return { ...common, bytes, problemOf: isHonest, isLast: true, signedBody: request.body };
}

function baseBody(random: Random, n: number): string {
  const object = `{"amount":${random.below(1e6)},"note":"Ünï 🔔 \\u00e9","list":[1,2.50,null,true]}`;
  const base = `{"id":"evt_${n}","type":"fuzz.event","created":1700000000,"data":{"object":${object}}`;
  return random.chance(0.1)
    ? `${base},"events":[{"resourceId":"${n}"},{}],"entry":[{"id":"1","changes":[]}]}`
    : `${base}}`;
}

/** Few of the bodies are large: the time is for variety. */
function randomSize(random: Random, text: string): string {
  return random.chance(0.002) ? `${text}${' '.repeat(random.below(100_000))}` : text;
}

const idOf = (random: Random, n: number) =>
  random.chance(0.05) ? `i${mutateHeaderValue(random, `d-${n}`)}`.replace(/[^\x21-\x7e]/g, '!') : `id-${n}`;

function spoilSignature(random: Random, request: SignedRequest, name: string) {
  const right = headerOf(request, name);
  if (random.chance(0.05))
    return { bytes: bytesOf(withHeader(request, name, undefined)), problemOf: isRefused };
  if (random.chance(0.05)) {
    const twice = withHeader(request, name, right);
    twice.headers.push([name, mutateHeaderValue(random, right)]);
    return { bytes: bytesOf(twice), problemOf: isRefused };
  }
  const value = mutateHeaderValue(random, right);
  // What still holds the right proof may be believed: a list of several, blanks around it.
  const holdsProof =
    value.trim() === right || value.split(/[\s,;]+/).includes(right.split(/[\s,;]+/).at(-1)!);
  const problemOf = (answer: Answer) => (answer.status === 200 && holdsProof ? undefined : isRefused(answer));
  return {
    bytes: bytesOf(withHeader(request, name, value)),
    problemOf,
    ...(holdsProof && { signedBody: request.body }),
  };
}

const oddHeaders = [
  'content-type',
  'content-encoding',
  'accept-encoding',
  'x-request-id',
  'x-forwarded-for',
  'x-forwarded-proto',
  'forwarded',
  'cookie',
  'referer',
  'te',
  'range',
  'x-http-method-override',
  'if-match',
  'origin',
  'via',
  'user-agent',
  'accept',
];
/** After these the connection may be closed, or another answer come before. */
const closing = [
  'expect',
  'connection',
  'upgrade',
  'host',
  'transfer-encoding',
  'content-length',
  'keep-alive',
  'trailer',
];
const oddPaths = [
  '/',
  '/healthz',
  '/readyz',
  '/metrics',
  '/webhooks/stripe',
  '/api/webhooks/',
  '/api/webhooks/nope',
  '/api/webhooks/%00',
  '/api/webhooks/stripe/..',
  '//',
  '/%',
  '/api/webhooks/stripe?x=%',
  '*',
];

function spoilHeaders(random: Random, request: SignedRequest) {
  const spoilt = { ...request, headers: [...request.headers] };
  let isLast = false;
  for (let n = random.below(4); n > 0; n--) {
    const value = mutateHeaderValue(
      random,
      random.pick([
        'gzip',
        '1.2.3.4',
        'application/json',
        'a=b; c="d"',
        'close',
        'chunked',
        '100-continue',
        'x'.repeat(2_000),
      ]),
    );
    const name = random.chance(0.15) ? random.pick(closing) : random.pick(oddHeaders);
    isLast ||= closing.includes(name) || name === 'content-encoding';
    spoilt.headers.splice(random.below(spoilt.headers.length + 1), 0, [name, value]);
  }
  if (random.chance(0.3))
    spoilt.path = random.chance(0.5) ? random.pick(oddPaths) : pathOf(random, request.path);
  const method = random.chance(0.2)
    ? random.pick(['GET', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH', 'PROPFIND', 'QUERY', 'LOCK'])
    : 'POST';
  // /metrics and the like answer more than a delivery does; their words are tested elsewhere.
  return { bytes: rawRequest({ ...spoilt, method }), problemOf: isHonest, isLast };
}

const pathOf = (random: Random, path: string) =>
  `/${mutateBytes(random, Buffer.from(path.slice(1)))
    .toString('latin1')
    .replace(/[^\x21-\x7e]/g, '%')}`;
