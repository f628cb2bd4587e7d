// Reads the events of a verified delivery: id, topic, time and the payload for jsonb.
import { hash } from 'node:crypto';
import { tooMany } from './body/batch.ts';
import { type DecodedBody, decodeBody } from './body/body.ts';
import { scanJson } from './body/jsonb.ts';
import { withoutCredentials } from './credentials.ts';
import type { Delivery, EventDraft, EventSpec, PayloadError, Source } from './provider.ts';
import { keyedSha256, redactBody } from './redaction.ts';
import { parseTimestamp } from './schemes/freshness.ts';
import type { Reading } from './template/parts.ts';
import { readText, startReading } from './template/reading.ts';

export const maxEventIdChars = 255;
export const maxTopicChars = 200;
/** Begins the ids of events that Postbell made of a thing's state (`MadeEvents`). */
export const madePrefix = 'made:';
/** A batch with more events is stored as one event with the error `too_many`. */
export const maxEventsPerDelivery = 5_000;
/** The same for a batch whose events' texts are together longer than 4 bodies plus 1,024 characters per event. */
const maxBodiesOfText = 4;
const maxCopiedChars = 1_024;

const earliestMs = Date.UTC(2000, 0, 1);
const clockSkewMs = 24 * 3600 * 1000;

/**
 * The events of a verified delivery; at least one. Never throws, whatever the body holds.
 * @param keepsBytes STORE_RAW_BODY: every draft then has its `rawBody`, unless the source has a `redaction`
 */
export function readDrafts(source: Source, delivery: Delivery, keepsBytes = false): EventDraft[] {
  const { events } = source.provider;
  const reading = startReading(delivery, source);
  const decoded = withoutCredentials(decodeBody(delivery, source), source.provider.body?.credentials);
  reading.decoded = decoded;
  if (events.items) {
    const value = decoded.hasInexactNumbers ? decoded.exact() : decoded.value;
    const items = events.items(value);
    const isList = Array.isArray(items) && items.length > 0;
    if (items === tooMany || isList) {
      const events = isList && items.length <= maxEventsPerDelivery && readItems(reading, items, keepsBytes);
      return events || [wholeBody(reading, decoded, 'too_many', keepsBytes)];
    }
  }
  return [wholeBody(reading, decoded, decoded.error, keepsBytes)];
}

function wholeBody(
  reading: Reading,
  decoded: DecodedBody,
  error: PayloadError | null,
  keepsBytes: boolean,
): EventDraft {
  const { body } = reading.delivery;
  const { redaction } = reading.source;
  reading.item = undefined;
  const bodySha256 = hash('sha256', signedContent(reading), 'buffer');
  return {
    // An id in a batch that was not split belongs to one of its events, not to the batch.
    ...readFacts(reading, () => `sha256:${bodySha256.toString('hex')}`, error !== 'too_many'),
    ...(redaction
      ? redactBody(redaction, decoded.exact(), error, body.length)
      : {
          payloadText: error ? null : decoded.text,
          payloadError: error,
          rawBody: error || keepsBytes ? (decoded.bytes ?? body) : null,
        }),
    bodySha256: redaction ? keyedSha256(redaction, bodySha256) : bodySha256,
  };
}

/** Bytes that differ between any two events and that nobody else can make: as far as possible, the signed content. */
function signedContent(reading: Reading): Buffer {
  const { signedToken, signedAt } = reading.source.provider.events;
  const token = signedToken && readText(signedToken, reading);
  if (token !== undefined) return Buffer.from(token);
  const body = signedBody(reading);
  const time = signedAt && readText(signedAt, reading);
  return time === undefined ? body : Buffer.concat([Buffer.from(`${time}\n`), body]);
}

function signedBody(reading: Reading): Buffer {
  const { signedText } = reading.source.provider.body ?? {};
  const text = signedText && readText(signedText, reading);
  return text === undefined ? reading.delivery.body : Buffer.from(text);
}

/**
 * Each draft keeps the bytes of its own text: with the batch's bytes, a thousand events would store the batch a thousand
 * times. Undefined where the texts together are far longer than the body, because each repeats the members beside the list.
 */
function readItems(
  reading: Reading,
  items: readonly unknown[],
  keepsBytes: boolean,
): EventDraft[] | undefined {
  const { redaction } = reading.source;
  const seen = new Map<string, number>();
  const drafts: EventDraft[] = [];
  let charsLeft = maxBodiesOfText * reading.delivery.body.length + maxCopiedChars * items.length;
  for (const item of items) {
    reading.item = item;
    const text = JSON.stringify(item);
    charsLeft -= text.length;
    if (charsLeft < 0) return undefined;
    const bodySha256 = hash('sha256', text, 'buffer');
    const { problem } = scanJson(text);
    drafts.push({
      ...readFacts(reading, () => nthHash(bodySha256.toString('hex'), seen)),
      ...(redaction
        ? redactBody(redaction, item, problem, text.length)
        : {
            payloadText: problem ? null : text,
            payloadError: problem,
            rawBody: problem || keepsBytes ? Buffer.from(text) : null,
          }),
      bodySha256: redaction ? keyedSha256(redaction, bodySha256) : bodySha256,
    });
  }
  return drafts;
}

/** Equal items without an id are separate events: the id of the second item ends with `:2`. */
function nthHash(hex: string, seen: Map<string, number>): string {
  const nth = (seen.get(hex) ?? 0) + 1;
  seen.set(hex, nth);
  return nth === 1 ? `sha256:${hex}` : `sha256:${hex}:${nth}`;
}

function readFacts(reading: Reading, hashedBody: () => string, hasId = true) {
  const { provider, runsRepeatedBodies = false } = reading.source;
  const { events, idIsSigned } = provider;
  const id = hasId && events.id ? readText(events.id, reading) : undefined;
  // Where only a part of a delivery is signed, the topic is not: a person who has seen one delivery can invent topics.
  const isSignedInPart = events.signedToken !== undefined || provider.body?.signedText !== undefined;
  return {
    eventId: id === undefined ? hashedBody() : boundedId(id),
    topic: boundedTopic(readText(events.topic, reading)),
    occurredAt: readTime(events.occurredAt, reading),
    uniqueBody: !idIsSigned && (isSignedInPart || !runsRepeatedBodies),
    topicsShareBody: !isSignedInPart,
  };
}

/** Hashes a long id and never cuts it: two long ids may begin with the same 255 characters. A made id is never a delivery's. */
function boundedId(id: string): string {
  if (id.startsWith(madePrefix)) return `sha256:${hash('sha256', id.toWellFormed(), 'hex')}`;
  const isWellFormed = id.isWellFormed();
  if (id.length <= maxEventIdChars && isWellFormed && !id.includes('\0')) return id;
  return `sha256:${hash('sha256', isWellFormed ? id : JSON.stringify(id), 'hex')}`;
}

function boundedTopic(topic: string | undefined): string {
  if (!topic) return 'unknown';
  const clean = topic.replaceAll('\0', '').slice(0, maxTopicChars).toWellFormed();
  return clean === '' ? 'unknown' : clean;
}

/** Null where the time is absent, unreadable, before the year 2000 or more than a day in the future. */
function readTime(spec: EventSpec['occurredAt'], reading: Reading): Date | null {
  if (!spec) return null;
  const text = readText(spec.at, reading);
  const ms = text === undefined ? undefined : parseTimestamp(text, spec.unit);
  if (ms === undefined || ms < earliestMs) return null;
  return ms > reading.delivery.receivedAt.getTime() + clockSkewMs ? null : new Date(ms);
}
