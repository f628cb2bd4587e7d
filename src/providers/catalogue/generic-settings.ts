// Reads the variables that describe a `generic` source, and names every invalid one.

import type { SettingProblem, TimeUnit } from '../provider.ts';
import { defaultToleranceSeconds, parseDecimal } from '../schemes/freshness.ts';
import type { Encoding } from '../schemes/signature.ts';
import { mentions } from '../schemes/signed-template.ts';
import {
  header,
  json,
  method,
  type Part,
  query,
  rawBody,
  type Template,
  timestamp,
  url,
} from '../template/parts.ts';

export const genericSettings = [
  'HEADER',
  'ALGORITHM',
  'ENCODING',
  'PREFIX',
  'KEY_FORMAT',
  'MESSAGE',
  'TIMESTAMP_HEADER',
  'TIMESTAMP_UNIT',
  'TOLERANCE_SECONDS',
  'ID',
  'TOPIC',
  'OCCURRED_AT',
  'OCCURRED_AT_UNIT',
] as const;

type Values = Readonly<Record<string, string>>;

export interface GenericSettings {
  /** Carries the signature. */
  header: string;
  hash: 'sha256' | 'sha1' | 'sha512';
  encoding: Encoding;
  prefix: string;
  keyFormat: 'text' | 'base64' | 'hex';
  message: Template;
  timestampHeader: string | undefined;
  timestampUnit: TimeUnit;
  toleranceSeconds: number;
  id: Part;
  topic: Part;
  occurredAt: Part | undefined;
  occurredAtUnit: TimeUnit;
}

const hashes = { 'hmac-sha256': 'sha256', 'hmac-sha1': 'sha1', 'hmac-sha512': 'sha512' } as const;
const algorithms = ['hmac-sha256', 'hmac-sha1', 'hmac-sha512'] as const;
const encodings = ['hex', 'base64', 'base64url', 'base64-unpadded'] as const;
const units = ['s', 'ms', 'iso', 'iso-utc', 'http-date'] as const;
const keyFormats = ['text', 'base64', 'hex'] as const;
const headerNamePattern = /^[A-Za-z0-9-]{1,100}$/;

/** A wrong variable is replaced by its default, so that all problems are reported at once. */
export function readGenericSettings(values: Values): {
  settings: GenericSettings;
  problems: SettingProblem[];
} {
  const problems: SettingProblem[] = [];
  const timestampHeader = readHeader(values, 'TIMESTAMP_HEADER', problems);
  const settings: GenericSettings = {
    header: readHeader(values, 'HEADER', problems) ?? 'x-signature',
    hash: hashes[readChoice(values, 'ALGORITHM', algorithms, problems)],
    encoding: readChoice(values, 'ENCODING', encodings, problems),
    prefix: values.PREFIX ?? '',
    keyFormat: readChoice(values, 'KEY_FORMAT', keyFormats, problems),
    message: readMessage(values, timestampHeader !== undefined, problems),
    timestampHeader,
    timestampUnit: readChoice(values, 'TIMESTAMP_UNIT', units, problems),
    toleranceSeconds: readTolerance(values, problems),
    id: readPlace(values, 'ID', problems) ?? json('id'),
    topic: readPlace(values, 'TOPIC', problems) ?? json('type'),
    occurredAt: readPlace(values, 'OCCURRED_AT', problems),
    occurredAtUnit: readChoice({ OCCURRED_AT_UNIT: 'iso', ...values }, 'OCCURRED_AT_UNIT', units, problems),
  };
  if (values.HEADER === undefined)
    problems.push({ name: 'HEADER', problem: 'is missing; name the header that carries the signature' });
  return { settings, problems };
}

function readChoice<T extends string>(
  values: Values,
  name: string,
  choices: readonly [T, ...T[]],
  problems: SettingProblem[],
): T {
  const value = values[name] ?? choices[0];
  const found = choices.find((choice) => choice === value);
  if (found === undefined) problems.push({ name, problem: `must be one of ${choices.join(', ')}` });
  return found ?? choices[0];
}

function readHeader(values: Values, name: string, problems: SettingProblem[]): string | undefined {
  const value = values[name];
  if (value === undefined || headerNamePattern.test(value)) return value?.toLowerCase();
  problems.push({ name, problem: 'must be the name of a header' });
  return undefined;
}

/** `header:x-acme-id` or `body:data.id`. */
function readPlace(values: Values, name: string, problems: SettingProblem[]): Part | undefined {
  const value = values[name];
  if (value === undefined) return undefined;
  const [kind, rest = ''] = splitOnce(value, ':');
  if (kind === 'header' && headerNamePattern.test(rest)) return header(rest);
  if (kind === 'body' && rest !== '') return json(rest);
  problems.push({ name, problem: 'must be header:<name> or body:<path>, e.g. body:data.id' });
  return undefined;
}

function readTolerance(values: Values, problems: SettingProblem[]): number {
  const text = values.TOLERANCE_SECONDS;
  const seconds = text === undefined ? defaultToleranceSeconds : parseDecimal(text);
  if (seconds !== undefined && seconds > 0) return seconds;
  problems.push({ name: 'TOLERANCE_SECONDS', problem: 'must be a whole number of seconds above 0' });
  return defaultToleranceSeconds;
}

/** `{timestamp}.{body}`: parts are in braces; all other text is literal. */
function readMessage(values: Values, hasTimestamp: boolean, problems: SettingProblem[]): Template {
  const pattern = values.MESSAGE ?? (hasTimestamp ? '{timestamp}.{body}' : '{body}');
  const message = pattern
    .split(/(\{[^{}]*\})/)
    .filter((text) => text !== '')
    .map(toPart);
  const isComplete = message.every((part) => part !== undefined);
  if (isComplete && mentions(message, 'rawBody') && mentions(message, 'timestamp') === hasTimestamp)
    return message;
  problems.push({
    name: 'MESSAGE',
    problem:
      'must hold {body}, and {timestamp} exactly if TIMESTAMP_HEADER is set; besides them {method}, {url}, {header:<name>}, {query:<name>} and literal text',
  });
  return rawBody;
}

function toPart(text: string): Part | undefined {
  if (!text.startsWith('{')) return text;
  const [kind, rest = ''] = splitOnce(text.slice(1, -1), ':');
  if (rest !== '') {
    if (kind === 'header' && headerNamePattern.test(rest)) return header(rest);
    return kind === 'query' ? query(rest) : undefined;
  }
  const parts: Record<string, Part> = { body: rawBody, timestamp, method, url };
  return Object.hasOwn(parts, kind) ? parts[kind] : undefined;
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}
