// Reads templates from a delivery: as bytes for a digest, as text for ids and topics.
import { decodeBody, formFields, scalarText, valueAt } from '../body/body.ts';
import { singleField, sortedFields } from '../body/form.ts';
import type { Delivery, Rejection, Source } from '../provider.ts';
import { type Computed, type Part, type Piece, type Reading, secretPlace, type Template } from './parts.ts';

export function startReading(delivery: Delivery, source: Source): Reading {
  return { delivery, source, items: [], timestamp: undefined, item: undefined, decoded: undefined };
}

/**
 * Adds the template's bytes to `pieces`. Strings among them are latin1, as Node gives header values, so that header
 * bytes stay unchanged. Returns a rejection where a part is missing or invalid.
 */
export function renderMessage(template: Template, reading: Reading, pieces: Piece[]): Rejection | undefined {
  if (isList(template)) {
    for (const part of template) {
      const rejection = renderMessage(part, reading, pieces);
      if (rejection) return rejection;
    }
    return undefined;
  }
  if (typeof template === 'string') return void pieces.push(template);
  switch (template.kind) {
    case 'rawBody':
      return void pieces.push(reading.delivery.body);
    case 'secret':
      return void pieces.push(secretPlace);
    case 'optional':
    case 'firstOf':
      return renderChoice(
        template.kind === 'optional' ? [template.parts, ''] : template.choices,
        reading,
        pieces,
      );
    case 'computed': {
      const computedValue = template.compute(reading);
      if (computedValue === undefined) return missing('a part of the signed text');
      if (isRejection(computedValue)) return computedValue;
      return void pieces.push(typeof computedValue === 'string' ? Buffer.from(computedValue) : computedValue);
    }
    default: {
      const text = readPart(template, reading);
      if (typeof text !== 'string') return text;
      const isHeader =
        template.kind === 'header' || template.kind === 'timestamp' || template.kind === 'item';
      return void pieces.push(isHeader || template.kind === 'itemAt' ? text : Buffer.from(text));
    }
  }
}

/** The template as text; undefined where a part is absent. */
export function readText(template: Template, reading: Reading): string | undefined {
  const text = readPart(template, reading);
  return typeof text === 'string' ? text : undefined;
}

/** The template as text, or the reason why it cannot be read. */
export function readPart(template: Template, reading: Reading): string | Rejection {
  if (typeof template === 'string') return template;
  if (isList(template)) {
    let text = '';
    for (const part of template) {
      const next = readPart(part, reading);
      if (typeof next !== 'string') return next;
      text += next;
    }
    return text;
  }
  switch (template.kind) {
    case 'header':
      return singleHeader(reading.delivery, template.name);
    case 'timestamp':
      return reading.timestamp ?? missing('the timestamp');
    case 'arrival':
      return reading.delivery.receivedAt.toISOString();
    case 'method':
      return reading.delivery.method;
    case 'url':
      return reading.source.webhookUrl ?? { ok: false, reason: 'missing_url', detail: 'the URL is signed' };
    case 'query':
      return singleQuery(reading.delivery, template.name);
    case 'formField': {
      const fields = formFields(reading.delivery);
      return (fields && singleField(fields, template.name)) ?? missing(`the form field ${template.name}`);
    }
    case 'sortedForm': {
      const fields = formFields(reading.delivery);
      return fields ? sortedFields(fields) : missing('a form that can be read');
    }
    case 'item':
      return singleItem(reading.items, template.name);
    case 'itemAt':
      return reading.items[template.index] || missing(`item ${template.index + 1} of the signature`);
    case 'json':
    case 'root':
      return readPath(template.kind, template.path, reading);
    case 'optional':
      return readChoice([template.parts, ''], reading);
    case 'firstOf':
      return readChoice(template.choices, reading);
    case 'computed': {
      const value = template.compute(reading);
      return isRejection(value) ? value : (value?.toString() ?? missing('a part'));
    }
    case 'rawBody':
      return reading.delivery.body.toString('utf8');
    case 'secret':
      return missing('the secret');
  }
}

function isRejection(value: Computed): value is Rejection {
  return typeof value === 'object' && 'ok' in value;
}

export function missing(what: string): Rejection {
  return { ok: false, reason: 'missing_header', detail: `missing ${what}` };
}

function isList(template: Template): template is readonly Part[] {
  return Array.isArray(template);
}

function singleHeader(delivery: Delivery, name: string): string | Rejection {
  const values = delivery.headers[name];
  if (values && values.length > 1) return { ok: false, reason: 'repeated_header', detail: name };
  return values?.[0] || missing(name);
}

function singleQuery(delivery: Delivery, name: string): string | Rejection {
  const start = delivery.url.indexOf('?');
  if (start < 0) return missing(`the query parameter ${name}`);
  const values = new URLSearchParams(delivery.url.slice(start + 1)).getAll(name);
  if (values.length > 1) return { ok: false, reason: 'repeated_header', detail: `query parameter ${name}` };
  return values[0] || missing(`the query parameter ${name}`);
}

/** Rejects two items of one name: otherwise the sender could choose which item counts. */
function singleItem(items: readonly string[], start: string): string | Rejection {
  let found: string | undefined;
  for (const candidate of items) {
    if (!candidate.startsWith(start)) continue;
    if (found !== undefined) return { ok: false, reason: 'malformed_signature', detail: `${start} twice` };
    found = candidate.slice(start.length);
  }
  return found || missing(`${start} in the signature`);
}

function readPath(kind: 'json' | 'root', path: readonly string[], reading: Reading): string | Rejection {
  reading.decoded ??= decodeBody(reading.delivery, reading.source);
  const { decoded } = reading;
  const start = kind === 'json' && reading.item !== undefined ? reading.item : decoded.value;
  let value = valueAt(start, path);
  // Two long ids that JavaScript rounds to one number must not become one event.
  if (typeof value === 'number' && !Number.isSafeInteger(value) && start === decoded.value)
    value = valueAt(decoded.exact(), path);
  return scalarText(value) ?? missing(`${path.join('.')} in the body`);
}

/** Tries the next choice only where a part is absent. A header sent twice rejects the delivery. */
function readChoice(choices: readonly Template[], reading: Reading): string | Rejection {
  let result: string | Rejection = missing('every alternative');
  for (const choice of choices) {
    result = readPart(choice, reading);
    if (typeof result === 'string' || result.reason !== 'missing_header') return result;
  }
  return result;
}

function renderChoice(
  choices: readonly Template[],
  reading: Reading,
  pieces: Piece[],
): Rejection | undefined {
  const before = pieces.length;
  let rejection: Rejection | undefined;
  for (const choice of choices) {
    rejection = renderMessage(choice, reading, pieces);
    if (rejection?.reason !== 'missing_header') return rejection;
    pieces.length = before;
  }
  return rejection;
}
