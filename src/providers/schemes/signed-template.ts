// The steps common to every scheme that signs a text made of parts: read the signature, check the age, render, compare.

import type { OutgoingRequest, Rejection, Scheme, SigningOptions, Source, Verdict } from '../provider.ts';
import type { Piece, Reading, Template } from '../template/parts.ts';
import { readPart, renderMessage, startReading } from '../template/reading.ts';
import { asDelivery } from './delivery.ts';
import { checkAge, formatTimestamp, freshnessOf, type TimestampSpec } from './freshness.ts';
import { needsOfTemplates } from './needs.ts';
import {
  composeSignature,
  isEncoded,
  placeName,
  placeValue,
  proofHeadersOf,
  readSignatures,
  type SignatureSpec,
} from './signature.ts';

export interface SignedTemplateSpec {
  signature: SignatureSpec;
  message: Template;
  /** Further texts that the same sender may have signed instead, tried in order. */
  otherMessages?: readonly Template[];
  timestamp?: TimestampSpec;
  /** The signed contents, where computed parts hide them. */
  signs?: { body?: boolean; url?: boolean };
  /** The headers that computed parts read, as `Scheme.readsHeaders`. */
  readsHeaders?: readonly string[];
  /** Computed parts read the received query. */
  readsQuery?: true;
}

/** The differences between HMAC, plain hash and public-key signatures. */
export interface Algorithm<Key> {
  name: string;
  /** Length of a signature, where fixed. */
  byteLength?: number;
  /** Undefined where the secret is no key of this kind. */
  prepareKey(secret: string): Key | undefined;
  /** True if one of the candidates (encoded, prefix removed) is right. Must not throw. */
  matches(key: Key, pieces: readonly Piece[], candidates: readonly string[]): boolean;
  /** The encoded signature. */
  sign(secret: string, pieces: readonly Piece[], options: SigningOptions): string;
}

export function signedTemplate<Key>(spec: SignedTemplateSpec, algorithm: Algorithm<Key>): Scheme {
  const messages = messagesOf(spec);
  const { timestamp } = spec;
  return {
    summary: `${algorithm.name} in ${placeName(spec.signature.at)}`,
    proofHeaders: proofHeadersOf(spec.signature.at),
    proofParams: [],
    ...(spec.signature.repeats ? { repeatsProof: true } : {}),
    ...needsOfSpec(spec, messages),
    signsBody: spec.signs?.body ?? mentions(spec.message, 'rawBody'),
    signsUrl: spec.signs?.url ?? mentions(messages, 'url'),
    ...(timestamp && !timestamp.ageUnchecked ? { freshness: freshnessOf(timestamp) } : {}),
    prepare(source) {
      const keys = source.secrets.map((secret) => algorithm.prepareKey(secret));
      return (delivery) => verifySigned(spec, algorithm, keys, startReading(delivery, source));
    },
    sign(request, source, options) {
      const sentAt = timestamp && formatTimestamp(options.now, timestamp.unit);
      const timeItem = timestamp && sentAt ? placeTimestamp(request, timestamp, sentAt) : undefined;
      const reading = startReading(asDelivery(request, options.now), withUrl(source, request));
      reading.timestamp = sentAt;
      reading.items = [...(timeItem === undefined ? [] : [timeItem]), ...(spec.signature.extraItems ?? [])];
      const pieces: Piece[] = [];
      const rejection = renderMessage(spec.message, reading, pieces);
      if (rejection)
        throw new Error(`cannot sign for ${source.name}: ${rejection.detail ?? rejection.reason}`);
      const secret = source.secrets[0] ?? '';
      const encoded = algorithm.sign(secret, pieces, options);
      placeValue(request, spec.signature.at, composeSignature(spec.signature, secret, timeItem, encoded));
    },
  };
}

/** @param keys in the order of the secrets; undefined where a secret is no key */
export function verifySigned<Key>(
  spec: SignedTemplateSpec,
  algorithm: Algorithm<Key>,
  keys: readonly (Key | undefined)[],
  reading: Reading,
): Verdict {
  const candidates = readSignatures(spec.signature, reading);
  if (!Array.isArray(candidates)) return candidates;
  if (spec.timestamp) {
    const sentAt = readPart(spec.timestamp.at, reading);
    if (typeof sentAt !== 'string') return sentAt;
    const rejection = checkAge(sentAt, spec.timestamp, reading.delivery.receivedAt);
    if (rejection) return rejection;
    reading.timestamp = sentAt;
  }
  let unrendered: Rejection | undefined;
  let hasKey = false;
  for (const message of messagesOf(spec)) {
    const pieces: Piece[] = [];
    const rejection = renderMessage(message, reading, pieces);
    unrendered ??= rejection;
    if (rejection) continue;
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i];
      if (key === undefined) continue;
      hasKey = true;
      if (algorithm.matches(key, pieces, candidates)) return { ok: true, secretIndex: i };
    }
  }
  if (unrendered) return unrendered;
  if (!hasKey) return { ok: false, reason: 'key_unavailable', detail: 'no secret has the right form' };
  const { encoding } = spec.signature;
  const isPlausible = candidates.some((text) => isEncoded(text, encoding, algorithm.byteLength));
  return { ok: false, reason: isPlausible ? 'wrong_signature' : 'malformed_signature' };
}

function needsOfSpec(
  { signature, timestamp, readsHeaders = [], readsQuery }: SignedTemplateSpec,
  messages: readonly Template[],
): ReturnType<typeof needsOfTemplates> {
  const at = typeof signature.at === 'object' && 'headers' in signature.at ? undefined : signature.at;
  const needs = needsOfTemplates(at, timestamp?.at, ...messages);
  return {
    ...needs,
    readsHeaders: [...(needs.readsHeaders ?? []), ...readsHeaders],
    ...(readsQuery && { readsQuery }),
  };
}

function messagesOf(spec: SignedTemplateSpec): readonly Template[] {
  return spec.otherMessages ? [spec.message, ...spec.otherMessages] : [spec.message];
}

/** Writes the timestamp into the request, or returns it as the list item that will carry it. */
function placeTimestamp(request: OutgoingRequest, spec: TimestampSpec, sentAt: string): string | undefined {
  const { at } = spec;
  if (typeof at === 'object' && 'kind' in at && at.kind === 'item') return at.name + sentAt;
  if (typeof at === 'object' && 'kind' in at && at.kind === 'itemAt') return sentAt;
  placeValue(request, at, sentAt);
  return undefined;
}

/** Signs the receiver's configured URL; without one, the URL of the request. */
function withUrl(source: Source, request: OutgoingRequest): Source {
  return source.webhookUrl === undefined ? { ...source, webhookUrl: request.url } : source;
}

/** True if the template contains a part of this kind. */
export function mentions(template: Template | readonly Template[], kind: string): boolean {
  if (typeof template === 'string') return false;
  if (Array.isArray(template)) return template.some((part: Template) => mentions(part, kind));
  if (!('kind' in template)) return false;
  if (template.kind === 'optional') return mentions(template.parts, kind);
  if (template.kind === 'firstOf') return mentions(template.choices, kind);
  return template.kind === kind;
}
