// The filter of a list of events as it stands in the address: read, checked, and written again.
import type { EventStatus } from '../events/event.ts';
import type { EventFilter } from '../events/filter.ts';
import type { ActionFilter } from '../events/operator-actions.ts';
import { eventStatuses, FilterError, parseSearch, parseStatuses, parseTime } from '../events/parse-filter.ts';

const fieldNames = [
  ...['source', 'topic', 'status', 'since', 'until', 'entity', 'id'],
  ...['error', 'group', 'path', 'value'],
] as const;

/** The fields as text, as a person types them; those that are empty are missing. */
export type FilterFields = Partial<Record<string, string>>;

export interface ReadFilter {
  fields: FilterFields;
  filter: EventFilter;
  /** Of fields that cannot be read, which then restrict nothing. */
  problems: string[];
}

/** The length of a search through payloads or errors that names no beginning: up to its end, or to now. */
const defaultSearchSince = '24h';
const maxFieldLength = 500;

/** @param read the values of a parameter, of which there may be several */
export function readFilterFields(read: (name: string) => readonly string[]): FilterFields {
  const fields: FilterFields = {};
  for (const name of fieldNames) {
    const text = read(name)
      .filter((part) => part !== '')
      .join(',')
      .replaceAll('\0', '') // no column of Postgres can hold it
      .trim();
    if (text !== '') fields[name] = text.slice(0, maxFieldLength);
  }
  const reads = fields.path !== undefined || fields.error !== undefined;
  const isNarrow = fields.since ?? fields.id ?? fields.entity;
  if (reads && isNarrow === undefined) fields.since = defaultSinceOf(fields.until);
  return fields;
}

/** An end alone does not narrow a search: it would read all that came before. */
function defaultSinceOf(until: string | undefined): string {
  try {
    return until === undefined
      ? defaultSearchSince
      : parseTime(defaultSearchSince, parseTime(until)).toISOString();
  } catch {
    return defaultSearchSince; // the end cannot be read, which `readFilter` says
  }
}

export function readFilter(fields: FilterFields, now: Date): ReadFilter {
  const problems: string[] = [];
  const read = <T>(name: string, parse: (text: string) => T): T | undefined => {
    const text = fields[name];
    if (text === undefined) return undefined;
    try {
      return parse(text);
    } catch (error) {
      if (!(error instanceof FilterError)) throw error;
      problems.push(`${name}: ${error.message}`);
      return undefined;
    }
  };
  const payload = read('path', (path) => readPath(path, fields.value));
  const filter = withoutUndefined({
    source: fields.source,
    topic: fields.topic,
    eventId: fields.id,
    entity: fields.entity,
    errorGroup: fields.group,
    statuses: read('status', (text) => parseStatuses(text)),
    error: read('error', parseSearch),
    receivedSince: read('since', (text) => parseTime(text, now)),
    receivedBefore: read('until', (text) => parseTime(text, now)),
    payload,
  });
  if (fields.value !== undefined && fields.path === undefined)
    problems.push('value: Name the path to it, such as data.object.id.');
  return { fields, filter, problems };
}

/** `data.items.0.id`. @throws FilterError */
function readPath(path: string, value: string | undefined): { path: string[]; value: string } {
  if (value === undefined) throw new FilterError('Name the value as well.');
  return { path: path.split('.'), value };
}

function withoutUndefined(fields: { [K in keyof EventFilter]: EventFilter[K] | undefined }): EventFilter {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** The statuses whose events a replay can take, in this order. */
export const replayable: readonly EventStatus[] = eventStatuses.filter((status) => status !== 'PENDING');

/** The filter in words, for a question and for the record. */
export function describeFilter(filter: ActionFilter): string {
  const { statuses, source, topic, handler, entity, eventId, error, errorGroup, payload } = filter;
  const { receivedSince, receivedBefore } = filter;
  const words = [
    statuses?.join(' or '),
    source && `of ${source}`,
    topic && `topic ${topic}`,
    handler && `handler ${handler}`,
    entity && `entity ${entity}`,
    eventId && `id ${eventId}`,
    error && `error contains “${error}”`,
    errorGroup && `error “${errorGroup}”`,
    payload && `${payload.path.join('.')} = ${payload.value}`,
    receivedSince && `since ${receivedSince.toISOString()}`,
    receivedBefore && `received before ${receivedBefore.toISOString()}`,
  ];
  return words.filter(Boolean).join(', ');
}
