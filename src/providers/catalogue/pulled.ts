// An API with a list of events, and no webhooks: variables of the source describe the list. Its events are only pulled.

import type { Provider } from '../provider.ts';
import {
  type ApiAnswer,
  lastTextAt,
  listAt,
  nextLink,
  type PageRequest,
  type RecoverSpec,
  textAt,
} from '../recover.ts';
import { formatTimestamp } from '../schemes/freshness.ts';
import { json, type Part } from '../template/parts.ts';
import { type PulledSettings, pulledSettings, readPulledSettings } from './pulled-settings.ts';

export const pulled: Provider = build(readPulledSettings({}).settings);

function build(settings: PulledSettings): Provider {
  const { id, topic, occurredAt, occurredAtUnit } = settings;
  const none = 'none: its events are only pulled';
  return {
    name: 'pulled',
    title: 'Any API with a list of events',
    isOnlyPulled: true,
    facts: 'Described by you, in <SOURCE>_API_PATH and the variables beside it.',
    scheme: {
      summary: none,
      proofHeaders: [],
      proofParams: [],
      signsBody: false,
      signsUrl: false,
      prepare: () => () => ({ ok: false, reason: 'missing_header' }),
      sign: () => {
        throw new Error('a source that is only pulled has no webhooks');
      },
    },
    secret: {
      label: none,
      format: none,
      where: none,
      check: () => 'belongs to a source that is only pulled; remove it',
      generate: () => ({ secret: '' }),
    },
    idIsSigned: true,
    events: {
      id: id.flatMap((path, index): Part[] => (index === 0 ? [json(path)] : [':', json(path)])),
      topic: json(topic),
      ...(occurredAt ? { occurredAt: { at: json(occurredAt), unit: occurredAtUnit } } : {}),
    },
    retries: 'None.',
    answers: 'unknown',
    recover: recoverOf(settings),
    samples: { '*': ({ id: sampleId, topic: sampleTopic }) => ({ id: sampleId, type: sampleTopic }) },
    settings: pulledSettings,
    configure(values) {
      const read = readPulledSettings(values);
      return read.problems.length > 0 ? { problems: read.problems } : { provider: build(read.settings) };
    },
  };
}

function recoverOf(settings: PulledSettings): RecoverSpec {
  const { url, path, keyHeader, keyScheme, items: itemsPath, since, next } = settings;
  return {
    key: `key of the API, sent in the header ${keyHeader}; any text where the API wants none`,
    authorize: (key) => ({ [keyHeader]: keyScheme === '' ? key : `${keyScheme} ${key}` }),
    pull: {
      // The query may hold a credential, and errors name the endpoint.
      endpoint: `GET ${path.split('?')[0]}`,
      ...(next.kind === 'cursor' && !since ? { isFeed: true } : {}),
      page: (request) =>
        request.cursor !== undefined && next.kind !== 'cursor'
          ? { path: withOwnValues(request.cursor, path) }
          : { path: firstPath(settings, request) },
      read: (answer, { cursor }) => {
        const items = itemsPath === '' ? answer.json : listAt(answer.json, itemsPath);
        const found = nextOf(settings, answer, items);
        const hasItems = Array.isArray(items) && items.length > 0;
        if (next.kind !== 'cursor')
          return { items, next: hasItems ? withoutOwnValues(absolute(found, url + path), path) : undefined };
        // At the end of a feed many APIs give the same cursor again, or none.
        return { items, next: hasItems && found !== cursor ? found : undefined, end: found };
      },
    },
    lost: 'what the API does not list',
  };
}

/** The path with its own query; a parameter of the same name is replaced. */
function firstPath({ path, since, next }: PulledSettings, request: PageRequest): string {
  const url = new URL(path, 'http://api');
  if (since) url.searchParams.set(since.param, formatTimestamp(request.since, since.unit));
  if (next.kind === 'cursor' && request.cursor !== undefined)
    url.searchParams.set(next.param, request.cursor);
  return url.pathname + url.search;
}

function nextOf(
  { next }: PulledSettings,
  { json: answer, link }: ApiAnswer,
  items: unknown,
): string | undefined {
  switch (next.kind) {
    case 'none':
      return undefined;
    case 'header':
      return nextLink(link);
    case 'link':
      return textAt(answer, next.path);
    case 'cursor':
      return next.of === 'body' ? textAt(answer, next.path) : lastTextAt(items, next.path);
  }
}

/** Stands in a stored link for a value that the configured path has for the same parameter: it may be a credential. */
const ownValue = (nth: number) => `{configured ${nth}}`;

/** The links of many APIs repeat the query of the request. They are stored, a configured value must not be. */
function withoutOwnValues(link: string | undefined, path: string): string | undefined {
  return (
    link &&
    replaceValues(link, path, (value, own) => (own.includes(value) ? ownValue(own.indexOf(value)) : value))
  );
}

function withOwnValues(link: string, path: string): string {
  return replaceValues(link, path, (value, own) => own.find((_, nth) => value === ownValue(nth)) ?? value);
}

/**
 * Leaves the link as it is, to the letter, where no value changes.
 * @param replace `own`: the values of the configured path for the same parameter, which may be repeated
 */
function replaceValues(
  link: string,
  path: string,
  replace: (value: string, own: readonly string[]) => string,
): string {
  const url = URL.parse(link);
  if (!url) return link;
  const configured = new URL(path, 'http://api').searchParams;
  const before = [...url.searchParams];
  const after = before.map(([name, value]): [string, string] => [
    name,
    replace(value, configured.getAll(name)),
  ]);
  if (after.every(([, value], nth) => value === before[nth]![1])) return link;
  url.search = new URLSearchParams(after).toString();
  return url.href;
}

/** A link may be relative to the list. Its origin is checked before it is followed. */
function absolute(link: string | undefined, base: string): string | undefined {
  return link === undefined ? undefined : (URL.parse(link, base)?.href ?? link);
}
