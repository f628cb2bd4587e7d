// Deliveries that prove nothing, with a body of one family: for every provider without a signature and with a wrong one.
import { type Delivery, type Provider, providers, type Source } from '../../src/providers/index.ts';
import { makeSigned, makeSource, secretOf } from '../providers/deliveries.ts';
import { type Family, families } from './families.ts';
import type { Random } from './random.ts';

/** `beside`: in the body of a right delivery, as further members or fields. */
const shapes = ['unsigned', 'forged', 'beside', 'deep beside'] as const;

export interface Unproven {
  provider: Provider;
  family: Family;
  shape: (typeof shapes)[number];
}

export const nameOf = ({ provider, family, shape }: Unproven) => `${provider.name}, ${family.name}, ${shape}`;

/** Without those that would be the same as another. */
export function everyUnproven(): Unproven[] {
  const all = Object.values<Provider>(providers).flatMap((provider) =>
    families.flatMap((family) => shapes.map((shape) => ({ provider, family, shape }))),
  );
  return all.filter((one) => bodyOf(one, 100) !== undefined);
}

/** So many of them, with each provider and each family among them. */
export function sampleOf(random: Random, count: number): Unproven[] {
  const all = everyUnproven();
  const sample = new Set<Unproven>();
  const pick = (some: Unproven[]) => sample.add(random.pick(some));
  for (const provider of Object.values<Provider>(providers))
    pick(all.filter((one) => one.provider === provider));
  for (const family of families) pick(all.filter((one) => one.family === family));
  while (sample.size < count) pick(all);
  return [...sample];
}

export function sourceOf(provider: Provider): Source {
  return makeSource(provider, secretOf(provider).secret);
}

/** The delivery with a body of about so many bytes. */
export function deliveryOf(unproven: Unproven, bytes: number): Delivery {
  const { provider, family, shape } = unproven;
  const delivery = forgedBy(provider);
  const contentType = shape === 'unsigned' || shape === 'forged' ? family.contentType : undefined;
  const type = contentType === undefined ? delivery.headers['content-type'] : [contentType];
  const headers = shape === 'unsigned' ? {} : delivery.headers;
  return { ...delivery, headers: { ...headers, 'content-type': type }, body: bodyOf(unproven, bytes)! };
}

const forged = new Map<Provider, Delivery>();

/** Right in all but its secret. */
function forgedBy(provider: Provider): Delivery {
  const delivery = forged.get(provider) ?? makeSigned(provider, { key: secretOf(provider, 1) }).delivery;
  forged.set(provider, delivery);
  return delivery;
}

const made = new Map<string, Buffer>();

/** Undefined where the provider's own body has no room for such a thing. */
function bodyOf({ provider, family, shape }: Unproven, bytes: number): Buffer | undefined {
  if (shape === 'unsigned' || shape === 'forged') {
    const key = `${family.name} ${bytes}`;
    const body = made.get(key) ?? Buffer.from(family.make(bytes));
    made.set(key, body);
    return body;
  }
  const delivery = forgedBy(provider);
  const text = delivery.body.toString('latin1');
  const type = delivery.headers['content-type']?.[0] ?? '';
  if (type.includes('urlencoded'))
    return shape === 'beside' && family.contentType === type
      ? Buffer.concat([delivery.body, Buffer.from(`&${family.make(bytes)}`)])
      : undefined;
  // A token: its claims are an object as well.
  const [head, claims, signature] = /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text) ? text.split('.') : [];
  const object = claims === undefined ? text : Buffer.from(claims, 'base64url').toString('latin1');
  const first = object.indexOf('{');
  const at = shape === 'beside' ? first : object.indexOf('{', first + 1);
  if (first < 0 || at < 0 || !family.members) return undefined;
  const members = Buffer.from(`${family.members(bytes)},`).toString('latin1');
  const flooded = object.slice(0, at + 1) + members + object.slice(at + 1);
  if (claims === undefined) return Buffer.from(flooded, 'latin1');
  return Buffer.from(`${head}.${Buffer.from(flooded, 'latin1').toString('base64url')}.${signature}`);
}
