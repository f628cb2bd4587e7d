// Reads a provider's list page by page, and checks each page before anything is done with it.

import type { Stretch } from '../events/recoveries.ts';
import type { ApiList, RecoverSource } from '../providers/index.ts';
import { variableOf } from '../providers/sources.ts';
import type { ApiClient } from './api-client.ts';
import { RecoverError } from './recover-error.ts';

export interface Page {
  items: readonly object[];
  /** The cursor of the next page; undefined after the last. */
  next: string | undefined;
  /** Only of a feed: the cursor behind the last item. */
  end: string | undefined;
}

const maxItems = 10_000;
const maxCursorChars = 2_000;
const minKeyChars = 12;

/** @throws RecoverError, as `ApiClient.send` */
export async function readPage(
  client: ApiClient,
  list: ApiList,
  { source, wanted, key }: Pick<RecoverSource, 'source' | 'wanted' | 'key'>,
  { since, until, cursor }: Stretch & { cursor: string | undefined },
): Promise<Page> {
  const request = { since, until, cursor, wanted };
  const { items, next, end } = list.read(await client.send(list.page(request)), request);
  const refuse = (what: string) =>
    new RecoverError(
      'unexpected_answer',
      `the answer to ${list.endpoint} ${what}; nothing of it was taken; check ${variableOf(source.name)}_API_URL`,
    );
  if (!isListOfObjects(items)) throw refuse('has no list of items where one belongs');
  if (items.length > maxItems) throw refuse(`has ${items.length} items, more than ${maxItems}`);
  if (!isCursor(next) || !isCursor(end))
    throw refuse('has a cursor that is no text of 1 to 2,000 characters');
  // Cursors are stored. A short key is a word like `none`, where the API wants no key.
  if (key.length >= minKeyChars && holdsKey(`${next} ${end}`, key))
    throw refuse('has the key in the link or cursor of the next page, which would be stored');
  if (next !== undefined && next === cursor) throw refuse('leads to itself as the next page');
  if (!list.timeOf) return { items, next, end };
  const isOld = (item: object) => Date.parse(list.timeOf?.(item) ?? '') < since.getTime();
  const young = items.filter((item) => !isOld(item));
  return { items: young, next: young.length > 0 || items.length === 0 ? next : undefined, end };
}

/** A link has characters such as `+` and `/` encoded. */
function holdsKey(text: string, key: string): boolean {
  const decoded = text.replace(/%[0-7][\da-f]/gi, (code) => String.fromCharCode(parseInt(code.slice(1), 16)));
  return text.includes(key) || decoded.includes(key);
}

function isCursor(text: unknown): boolean {
  return text === undefined || (typeof text === 'string' && text !== '' && text.length <= maxCursorChars);
}

function isListOfObjects(items: unknown): items is readonly object[] {
  return Array.isArray(items) && items.every((item) => typeof item === 'object' && item !== null);
}
