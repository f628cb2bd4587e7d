// Sources and deliveries for the provider tests: made by our own signing, or read from a fixture.
import { readdirSync, readFileSync } from 'node:fs';
import {
  asDelivery,
  type Delivery,
  type OutgoingRequest,
  type Provider,
  type Source,
  signDelivery,
} from '../../src/providers/index.ts';
import type { GeneratedSecret } from '../../src/providers/provider.ts';

export const fixedNow = new Date('2026-11-23T10:00:00.000Z');
export const exampleUrl = 'https://shop.example.com/api/webhooks/it?shop=1';

export interface Signed {
  source: Source;
  request: OutgoingRequest;
  delivery: Delivery;
  key: GeneratedSecret;
}

export interface Fixture {
  /** Who computed it: a publication, or something that is not our code. */
  origin: string;
  secret: string;
  receivedAt: string;
  method?: string;
  url: string;
  webhookUrl?: string;
  headers: Record<string, string>;
  body?: string;
  bodyBase64?: string;
  payload?: unknown;
  events: { eventId: string; topic: string; occurredAt: string | null }[];
}

export function makeSource(provider: Provider, ...secrets: string[]): Source {
  return { name: provider.name, provider, secrets, webhookUrl: exampleUrl };
}

/** A fresh secret of the provider, the nth of this run: pairs of RSA keys are slow to make. */
export function secretOf(provider: Provider, nth = 0): GeneratedSecret {
  const made = secrets.get(provider.secret) ?? [];
  secrets.set(provider.secret, made);
  made[nth] ??= provider.secret.generate();
  return made[nth];
}

const secrets = new Map<Provider['secret'], GeneratedSecret[]>();

/** A delivery as the provider would send it, under a fresh secret unless one is given. */
export function makeSigned(
  provider: Provider,
  wish: { topic?: string; body?: string | Buffer; id?: string; now?: Date; key?: GeneratedSecret } = {},
): Signed {
  const key = wish.key ?? secretOf(provider);
  const source = makeSource(provider, key.secret);
  const now = wish.now ?? fixedNow;
  const request = signDelivery(source, {
    topic: wish.topic ?? firstTopic(provider),
    now,
    url: exampleUrl,
    ...(wish.body === undefined ? {} : { body: wish.body }),
    ...(wish.id === undefined ? {} : { id: wish.id }),
    ...(key.privateKey === undefined ? {} : { privateKey: key.privateKey }),
  });
  return { source, request, delivery: asDelivery(request, now), key };
}

/** A topic that has a sample of its own, else one that `*` serves. */
export function firstTopic(provider: Provider): string {
  const [topic = '*'] = Object.keys(provider.samples);
  return topic === '*' ? 'bell.rung' : topic;
}

/** Unsigned, as most set-up requests are. */
export function getRequest(url: string): Delivery {
  return { method: 'GET', url, headers: {}, body: Buffer.alloc(0), receivedAt: fixedNow };
}

export function postRequest(body: string, contentType = 'application/json'): Delivery {
  const headers = { 'content-type': [contentType] };
  return { method: 'POST', url: '/', headers, body: Buffer.from(body), receivedAt: fixedNow };
}

/** A copy with some headers replaced; undefined takes one away. */
export function withHeaders(delivery: Delivery, changes: Record<string, string[] | undefined>): Delivery {
  return { ...delivery, headers: { ...delivery.headers, ...changes } };
}

/** `stripe`, and further deliveries of its own kind as `stripe.thin-event`. */
export function fixturesOf(name: string): string[] {
  const files = readdirSync(new URL('fixtures/', import.meta.url)).sort();
  return files
    .map((file) => file.slice(0, -'.json'.length))
    .filter((file) => file === name || file.startsWith(`${name}.`));
}

export function readFixture(name: string): { fixture: Fixture; delivery: Delivery } {
  const file = new URL(`fixtures/${name}.json`, import.meta.url);
  const fixture: Fixture = JSON.parse(readFileSync(file, 'utf8'));
  const headers = Object.fromEntries(Object.entries(fixture.headers).map(([key, value]) => [key, [value]]));
  const body =
    fixture.bodyBase64 === undefined
      ? Buffer.from(fixture.body ?? '')
      : Buffer.from(fixture.bodyBase64, 'base64');
  const { url, method = 'POST' } = fixture;
  return { fixture, delivery: { method, url, headers, body, receivedAt: new Date(fixture.receivedAt) } };
}

/** CPU time of this thread alone: the machine is shared, so the clock on the wall says little. */
export function cpuMs(work: () => void): number {
  const before = process.threadCpuUsage();
  work();
  const { user, system } = process.threadCpuUsage(before);
  return (user + system) / 1000;
}
