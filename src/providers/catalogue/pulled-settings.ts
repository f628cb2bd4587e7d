// Reads the variables that describe the list of a `pulled` source, and names every invalid one.

import type { SettingProblem, TimeUnit } from '../provider.ts';

export const pulledSettings = [
  'API_URL',
  'API_PATH',
  'API_KEY_HEADER',
  'API_KEY_SCHEME',
  'API_ITEMS',
  'API_ID',
  'API_TOPIC',
  'API_OCCURRED_AT',
  'API_OCCURRED_AT_UNIT',
  'API_SINCE_PARAM',
  'API_SINCE_UNIT',
  'API_CURSOR',
  'API_CURSOR_PARAM',
  'API_NEXT',
] as const;

type Name = (typeof pulledSettings)[number];
type Values = Readonly<Partial<Record<Name, string>>>;

/** Where a page names the next one. */
export type NextPage =
  | { kind: 'none' }
  /** The header Link with `rel="next"`. */
  | { kind: 'header' }
  /** A link of the answer. */
  | { kind: 'link'; path: string }
  /** A value of the answer, or of its last item, for the parameter. */
  | { kind: 'cursor'; of: 'body' | 'last'; path: string; param: string };

export interface PulledSettings {
  /** Of the API, without a slash at its end; empty where it is missing. */
  url: string;
  /** Begins with `/`; may have a query. */
  path: string;
  keyHeader: string;
  /** The word before the key; empty: none. */
  keyScheme: string;
  /** Empty: the answer is the list. */
  items: string;
  /** Paths of an item; the id is their values, joined by `:`. */
  id: readonly string[];
  topic: string;
  occurredAt: string | undefined;
  occurredAtUnit: PulledUnit;
  since: { param: string; unit: PulledUnit } | undefined;
  next: NextPage;
}

const units = ['iso', 'iso-utc', 's', 'ms'] as const satisfies readonly TimeUnit[];
type PulledUnit = (typeof units)[number];
const headerPattern = /^[A-Za-z0-9-]{1,100}$/;
const placePattern = /^[^\s.,:]+(?:\.[^\s.,:]+)*$/;
const paramPattern = /^[^\s&=?#]{1,100}$/;
const placeHelp = 'must be the path of a value, e.g. data.id';

/** A wrong variable is replaced by a valid value, so that all problems are reported at once. */
export function readPulledSettings(values: Values): { settings: PulledSettings; problems: SettingProblem[] } {
  const problems: SettingProblem[] = [];
  const check = (name: Name, isRight: (value: string) => boolean, problem: string): string | undefined => {
    const value = values[name];
    if (value === undefined || isRight(value)) return value;
    problems.push({ name, problem });
    return undefined;
  };
  const matches = (pattern: RegExp) => (value: string) => pattern.test(value);
  const place = (name: Name) => check(name, matches(placePattern), placeHelp);
  const unit = (name: Name): PulledUnit => {
    const value = check(
      name,
      (text) => units.some((known) => known === text),
      'must be iso, iso-utc, s or ms',
    );
    return units.find((known) => known === value) ?? 'iso';
  };
  const param = (name: Name) => check(name, matches(paramPattern), 'must be the name of a query parameter');
  const arePlaces = (value: string) => value.split(',').every((path) => placePattern.test(path.trim()));
  const header = check(
    'API_KEY_HEADER',
    matches(headerPattern),
    'must be the name of a header',
  )?.toLowerCase();
  const id = check('API_ID', arePlaces, 'must be the path of a value, e.g. id, or several: id,updated_at');
  const occurredAt = place('API_OCCURRED_AT');
  const sinceParam = param('API_SINCE_PARAM');
  if (values.API_PATH === undefined)
    problems.push({
      name: 'API_PATH',
      problem: 'is missing; set the path of the list, e.g. /v1/events?limit=100',
    });
  const settings: PulledSettings = {
    url: values.API_URL?.replace(/\/+$/, '') ?? '',
    path:
      check(
        'API_PATH',
        matches(/^\/(?!\/)[^\s#]*$/),
        'must begin with / and continue API_URL, e.g. /v1/events',
      ) ?? '/',
    keyHeader: header ?? 'authorization',
    keyScheme:
      check('API_KEY_SCHEME', matches(/^[A-Za-z0-9-]{1,50}$/), 'must be a word, e.g. Bearer or Token') ??
      (header === undefined || header === 'authorization' ? 'Bearer' : ''),
    items: place('API_ITEMS') ?? '',
    id: (id ?? 'id').split(',').map((path) => path.trim()),
    topic: place('API_TOPIC') ?? 'type',
    occurredAt,
    occurredAtUnit: unit('API_OCCURRED_AT_UNIT'),
    since: sinceParam === undefined ? undefined : { param: sinceParam, unit: unit('API_SINCE_UNIT') },
    next: readNext(values, param('API_CURSOR_PARAM'), problems),
  };
  refuseUnused(values, problems);
  return { settings, problems };
}

function refuseUnused(values: Values, problems: SettingProblem[]): void {
  for (const [name, other] of [
    ['API_OCCURRED_AT_UNIT', 'API_OCCURRED_AT'],
    ['API_SINCE_UNIT', 'API_SINCE_PARAM'],
  ] as const)
    if (values[name] !== undefined && values[other] === undefined)
      problems.push({ name, problem: `has no effect without ${other}; set both, or remove it` });
}

function readNext(values: Values, param: string | undefined, problems: SettingProblem[]): NextPage {
  const { API_CURSOR: cursor, API_CURSOR_PARAM: givenParam, API_NEXT: next } = values;
  const refuse = (name: Name, problem: string): NextPage => {
    problems.push({ name, problem });
    return { kind: 'none' };
  };
  if (cursor !== undefined && next !== undefined)
    return refuse('API_NEXT', 'and API_CURSOR exclude each other; remove the one that the API does not have');
  if (next !== undefined) {
    const path = pathAfter(next, 'body:');
    if (next !== 'header:link' && path === undefined)
      return refuse('API_NEXT', 'must be header:link or body:<path of the link>, e.g. body:links.next');
    return path === undefined ? { kind: 'header' } : { kind: 'link', path };
  }
  if (cursor === undefined)
    return givenParam === undefined
      ? { kind: 'none' }
      : refuse('API_CURSOR', 'is missing; API_CURSOR_PARAM needs it, e.g. body:next_cursor or last:id');
  const of = cursor.startsWith('last:') ? 'last' : 'body';
  const path = pathAfter(cursor, `${of}:`);
  if (path === undefined)
    refuse('API_CURSOR', 'must be body:<path> of the answer or last:<path> of its last item, e.g. last:id');
  if (givenParam === undefined)
    refuse('API_CURSOR_PARAM', 'is missing; name the query parameter that carries the cursor, e.g. after');
  return path === undefined || param === undefined ? { kind: 'none' } : { kind: 'cursor', of, path, param };
}

function pathAfter(text: string, prefix: string): string | undefined {
  const path = text.startsWith(prefix) ? text.slice(prefix.length) : '';
  return placePattern.test(path) ? path : undefined;
}
