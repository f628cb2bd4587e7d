// Timestamps of deliveries: read strictly, measured against the time of arrival, written for signing.

import type { Freshness, Rejection, TimeUnit } from '../provider.ts';
import type { Template } from '../template/parts.ts';

export interface TimestampSpec {
  at: Template;
  unit: TimeUnit;
  /** Default 300 each; a timestamp exactly at the limit is still accepted. */
  pastSeconds?: number;
  futureSeconds?: number;
  /** True where retries carry the first attempt's time: the timestamp is signed, but its age proves nothing. */
  ageUnchecked?: boolean;
}

export const defaultToleranceSeconds = 300;

const isoPattern = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(Z|[+-]\d\d:?\d\d)?$/;
const httpDatePattern = /^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;

/** Milliseconds since 1970; undefined where the text does not match the unit's form exactly. */
export function parseTimestamp(text: string, unit: TimeUnit): number | undefined {
  let ms: number;
  if (unit === 's' || unit === 'ms') {
    const value = parseDecimal(text);
    if (value === undefined) return undefined;
    ms = unit === 's' ? value * 1000 : value;
  } else if (text.length > 40) return undefined;
  else if (unit === 'http-date') ms = httpDatePattern.test(text) ? Date.parse(text) : Number.NaN;
  else {
    const match = isoPattern.exec(text);
    const zone = match?.[1];
    if (!match || (zone === undefined && unit === 'iso')) return undefined;
    ms = Date.parse(zone === undefined ? `${text}Z` : text);
  }
  // Date cannot represent a time beyond this range.
  return Number.isNaN(ms) || Math.abs(ms) > 8.64e15 ? undefined : ms;
}

export function formatTimestamp(at: Date, unit: TimeUnit): string {
  if (unit === 's') return String(Math.floor(at.getTime() / 1000));
  if (unit === 'ms') return String(at.getTime());
  if (unit === 'http-date') return at.toUTCString();
  return unit === 'iso' ? at.toISOString() : at.toISOString().slice(0, -1);
}

export function freshnessOf(spec: TimestampSpec): Freshness {
  return {
    pastSeconds: spec.pastSeconds ?? defaultToleranceSeconds,
    futureSeconds: spec.futureSeconds ?? defaultToleranceSeconds,
  };
}

/** Undefined if the text, as sent, is a time close enough to the arrival. */
export function checkAge(text: string, spec: TimestampSpec, receivedAt: Date): Rejection | undefined {
  const sentMs = parseTimestamp(text, spec.unit);
  if (sentMs === undefined) return { ok: false, reason: 'malformed_timestamp' };
  if (spec.ageUnchecked) return undefined;
  const { pastSeconds, futureSeconds } = freshnessOf(spec);
  return checkAgeMs(sentMs, spec.unit !== 'ms', receivedAt, pastSeconds, futureSeconds);
}

/** `wholeSeconds`: the sender cut its time to seconds, so ours is cut too before the comparison. */
export function checkAgeMs(
  sentMs: number,
  wholeSeconds: boolean,
  receivedAt: Date,
  pastSeconds: number,
  futureSeconds: number,
): Rejection | undefined {
  const nowMs = wholeSeconds ? Math.floor(receivedAt.getTime() / 1000) * 1000 : receivedAt.getTime();
  const ageMs = nowMs - sentMs;
  if (ageMs > pastSeconds * 1000)
    return { ok: false, reason: 'too_old', detail: `${Math.ceil(ageMs / 1000)} s old`, ageMs };
  if (-ageMs > futureSeconds * 1000)
    return { ok: false, reason: 'too_new', detail: `${Math.ceil(-ageMs / 1000)} s ahead`, ageMs };
  return undefined;
}

/** At most 15 digits, no sign, no leading zero: stricter than `Number`, which accepts other forms. */
export function parseDecimal(text: string): number | undefined {
  if (text.length === 0 || text.length > 15 || (text.length > 1 && text.charCodeAt(0) === 48))
    return undefined;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return undefined;
    value = value * 10 + digit;
  }
  return value;
}
