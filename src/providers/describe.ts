// What is known about a provider in words: for `postbell providers`, the documentation and the operator.
import type { Template } from './parts.ts';
import type { Provider } from './provider.ts';

/** `GET`, `POST (signed)`: the set-up requests that are answered. */
export function describeHandshakes({ handshakes = [], handover }: Provider): string[] {
  const answered = handshakes.map(({ method, phase }) =>
    phase === 'verified' ? `${method} (signed)` : method,
  );
  return handover ? [...answered, 'POST (postbell setup)'] : answered;
}

/** Where the event's id comes from, and what it is worth. */
export function describeId({ body, events, idIsSigned }: Provider): string {
  const { id } = events;
  const whole = body?.signedText ? 'signed text' : 'body';
  const place = id === undefined ? `hash of the ${events.items ? 'item' : whole}` : describeTemplate(id);
  if (events.idPerDelivery) return `${place}; new with each delivery`;
  if (idIsSigned) return place;
  if (events.signedToken)
    return `${place}; unsigned, but ${describeTemplate(events.signedToken)} is good for one event`;
  return `${place}; unsigned, so the body's hash${events.signedAt ? ' with the signed time' : ''} guards it`;
}

/** A template as a reader would write it: `{id}`, `{header x-github-delivery}`, `{RecordType}:{ID}`. */
function describeTemplate(template: Template): string {
  if (typeof template === 'string') return template;
  if (!('kind' in template)) return template.map(describeTemplate).join('');
  switch (template.kind) {
    case 'header':
    case 'query':
    case 'formField':
    case 'item':
      return `{${NAMES[template.kind]} ${template.name.replace(/=$/, '')}}`;
    case 'json':
      return `{${template.path.join('.')}}`;
    case 'root':
      return `{${template.path.join('.')} of the whole}`;
    case 'optional':
      return template.parts.map(describeTemplate).join('');
    case 'firstOf':
      return template.choices.map(describeTemplate).join(' or ');
    case 'itemAt':
      return `{item ${template.index + 1} of the signature}`;
    case 'computed':
      return '{computed}';
    case 'arrival':
      return '{time of arrival}';
    case 'rawBody':
      return '{body}';
    default:
      return `{${template.kind}}`;
  }
}

const NAMES = { header: 'header', query: 'query', formField: 'field', item: 'signature item' } as const;
