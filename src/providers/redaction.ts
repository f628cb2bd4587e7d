// Removes values from events before they are stored: `<SOURCE>_REDACT`. Verification, ids and topics use the body as it came.
import { createHmac } from 'node:crypto';
import { scalarText } from './body/body.ts';
import { scanJson } from './body/jsonb.ts';
import type { EventDraft, PayloadError } from './provider.ts';

/** Values that are never stored. */
export interface Redaction {
  readonly tree: PathTree;
  /** REDACT_KEY. Undefined: no path is hashed. */
  readonly key: string | undefined;
}

export interface RedactedPath {
  /** `*` stands for each item of a list and for any key. */
  readonly keys: readonly string[];
  readonly isHashed: boolean;
}

/** The paths joined at their beginnings: a value is looked at once, not once per path. */
interface PathTree {
  readonly children: Map<string, PathTree>;
  any?: PathTree;
  /** What becomes of the value itself. */
  end?: 'hash' | 'block';
  /** The same without `*` and places in lists: what is looked for in each item of a list, too. */
  inItems?: PathTree;
}

export function joinPaths(paths: readonly RedactedPath[]): PathTree {
  const root: PathTree = { children: new Map() };
  for (const { keys, isHashed } of paths) {
    let tree = root;
    for (const key of keys) tree = childOf(tree, key);
    // Whoever blocks a value anywhere does not want even its hash.
    tree.end = isHashed && tree.end !== 'block' ? 'hash' : 'block';
  }
  return root;
}

function childOf(tree: PathTree, key: string): PathTree {
  const known = key === '*' ? tree.any : tree.children.get(key);
  if (known) return known;
  const child: PathTree = { children: new Map() };
  if (key === '*') tree.any = child;
  else tree.children.set(key, child);
  if (key !== '*' && !isIndex(key)) {
    tree.inItems ??= { children: new Map() };
    tree.inItems.children.set(key, child);
    tree.inItems.inItems = tree.inItems;
  }
  return child;
}

/** A key of a path that is the place of an item in a list. */
export const isIndex = (key: string): boolean => /^\d+$/.test(key);

/** Stands in the place of a value that was removed. `null` stays `null`. */
export const redacted = '[redacted]';
/** Begins the keyed hash that stands in the place of a text or number; 64 hex digits follow. */
const hashMark = 'hmac:';

type StoredBody = Pick<EventDraft, 'payloadText' | 'payloadError' | 'rawBody'>;

/**
 * What is stored of a body: its JSON without the values, never its bytes. Where the body cannot be read, no path can be
 * found: then nothing of the body is stored, and `rawBody` says so.
 * @param value the body, with exact numbers
 */
export function redactBody(
  redaction: Redaction,
  value: unknown,
  error: PayloadError | null,
  bytes: number,
): StoredBody {
  if (error === 'empty') return { payloadText: null, payloadError: error, rawBody: Buffer.alloc(0) };
  if (value === undefined || error === 'too_many') {
    // No JSON: a handler would take it for the body.
    const rawBody = Buffer.from(`${redacted} ${bytes} bytes that could not be read: ${error}`);
    return { payloadText: null, payloadError: error, rawBody };
  }
  const text = JSON.stringify(redactValue(value, [redaction.tree], redaction.key));
  // The problem may have gone with a value.
  const { problem } = scanJson(text);
  return {
    payloadText: problem ? null : text,
    payloadError: problem,
    rawBody: problem ? Buffer.from(text) : null,
  };
}

/** Copies what it changes: the items of a batch may share parts. @param trees what is looked for in the value */
function redactValue(value: unknown, trees: readonly PathTree[], key: string | undefined): unknown {
  if (Array.isArray(value))
    return value.map((item, index) => redactChild(item, treesOfItem(trees, String(index)), key));
  if (!isObject(value)) return value;
  const entries = Object.entries(value).map(([name, child]) => [
    name,
    redactChild(child, treesOfKey(trees, name), key),
  ]);
  // Not by assignment, which for the key __proto__ would change the prototype.
  return Object.fromEntries(entries);
}

function redactChild(child: unknown, trees: readonly PathTree[], key: string | undefined): unknown {
  if (trees.length === 0) return child;
  const ends = trees.filter(({ end }) => end !== undefined);
  if (ends.length === 0) return redactValue(child, trees, key);
  return redactedValue(child, ends.every(({ end }) => end === 'hash') ? key : undefined);
}

function treesOfKey(trees: readonly PathTree[], name: string): PathTree[] {
  return trees.flatMap(({ children, any }) => present(children.get(name), any));
}

/** A list is passed through where the path has a name: whoever forgets the `*` shall not store the values. */
function treesOfItem(trees: readonly PathTree[], index: string): PathTree[] {
  return trees.flatMap(({ children, any, inItems }) => present(children.get(index), any, inItems));
}

const present = (...trees: (PathTree | undefined)[]) => trees.filter((tree) => tree !== undefined);

/** @param key undefined: not even a hash is kept */
function redactedValue(value: unknown, key: string | undefined): unknown {
  if (value === null) return null;
  const text = typeof value === 'string' ? value : scalarText(value);
  return key === undefined || text === undefined ? redacted : hashText(key, text);
}

/** Equal for equal texts in every source and path, so that they can be joined. */
export function hashText(key: string, text: string): string {
  return hashMark + createHmac('sha256', key).update(text).digest('hex');
}

/** In place of a body's plain hash, from which a short body could be guessed; without a key the plain hash. */
export function keyedSha256({ key }: Redaction, bodySha256: Buffer): Buffer {
  return key === undefined ? bodySha256 : createHmac('sha256', key).update(bodySha256).digest();
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && scalarText(value) === undefined;
