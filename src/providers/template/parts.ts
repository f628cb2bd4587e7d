// The parts of signed texts, ids and topics.
import { hash } from 'node:crypto';
import type { DecodedBody } from '../body/body.ts';
import type { Delivery, Rejection, Source } from '../provider.ts';

export type Part =
  | string
  | { readonly kind: 'rawBody' | 'timestamp' | 'method' | 'url' | 'secret' | 'sortedForm' | 'arrival' }
  | { readonly kind: 'header' | 'query' | 'formField' | 'item'; readonly name: string }
  | { readonly kind: 'itemAt'; readonly index: number }
  | { readonly kind: 'json' | 'root'; readonly path: readonly string[] }
  | { readonly kind: 'optional'; readonly parts: readonly Part[] }
  | { readonly kind: 'firstOf'; readonly choices: readonly Template[] }
  | { readonly kind: 'computed'; readonly compute: (reading: Reading) => Computed };

/** Undefined counts as absent. */
export type Computed = string | Buffer | Rejection | undefined;

export type Template = Part | readonly Part[];

/** The body, byte for byte. */
export const rawBody: Part = { kind: 'rawBody' };
/** The timestamp of the scheme, as sent. */
export const timestamp: Part = { kind: 'timestamp' };
export const method: Part = { kind: 'method' };
/** The URL as entered at the provider, never a URL that a proxy changed. */
export const url: Part = { kind: 'url' };
/**
 * The time of arrival, for ids only. Use it where bodies repeat ("something changed") and no signed value differs
 * between two events: each delivery is then an event. With the body's hash as id, all later events would be duplicates.
 */
export const arrival: Part = { kind: 'arrival' };
/** For plain hashes: the position of the secret. */
export const secret: Part = { kind: 'secret' };
/** Exactly one header of this name, not empty. */
export const header = (name: string): Part => ({ kind: 'header', name: name.toLowerCase() });
/** A parameter of the received query string, decoded. */
export const query = (name: string): Part => ({ kind: 'query', name });
/** A field of a form-encoded body, decoded. */
export const formField = (name: string): Part => ({ kind: 'formField', name });
/** Every field of a form as name and value, sorted by name; of a repeated name each value once, sorted. */
export const sortedForm: Part = { kind: 'sortedForm' };
/** In the signature's list (`t=1,v1=…`), the item that begins with `name=`. */
export const item = (name: string): Part => ({ kind: 'item', name: `${name}=` });
/** In the signature's list, the item at this place. */
export const itemAt = (index: number): Part => ({ kind: 'itemAt', index });
/** A string or number of the body; in a batch, of the event's item. `data.object.id`, `events.0.id`. */
export const json = (path: string): Part => ({ kind: 'json', path: path.split('.') });
/** As `json`, but in a batch the path starts at the whole body. */
export const root = (path: string): Part => ({ kind: 'root', path: path.split('.') });
/** All of these parts, or an empty text where one of them is absent. */
export const optional = (...parts: Part[]): Part => ({ kind: 'optional', parts });
/** The first of these parts that is present. */
export const firstOf = (...choices: Template[]): Part => ({ kind: 'firstOf', choices });
/** A part computed by a function, where no other part fits. A returned rejection rejects the delivery. */
export const computed = (compute: (reading: Reading) => Computed): Part => ({ kind: 'computed', compute });
/** SHA-256 of the body, in hex: for ids only, where two events differ in nothing but the body. */
export const bodyHash: Part = computed(({ delivery }) => hash('sha256', delivery.body, 'hex'));

/** The position of the secret in a rendered message. */
export const secretPlace = Symbol('secret');
export type Piece = string | Buffer | typeof secretPlace;

/** The state of reading one delivery; made by the verifier and by `readDrafts`. */
export interface Reading {
  readonly delivery: Delivery;
  readonly source: Source;
  /** The items of the signature's list. */
  items: readonly string[];
  timestamp: string | undefined;
  /** The event of a batch; the body's value otherwise. */
  item: unknown;
  /** The decoded body; undefined until first used. */
  decoded: DecodedBody | undefined;
}
