// Describes a provider in words: for `postbell providers`, the documentation and the operator.
import { answerFactsOf, effectOf, unavailableStatusOf } from './answers.ts';
import type { AnswerEffect, Provider } from './provider.ts';
import type { Template } from './template/parts.ts';

/** The set-up requests that Postbell answers, e.g. `GET`, `POST (signed)`. */
export function describeHandshakes({ handshakes = [], handover }: Provider): string[] {
  const answered = handshakes.map(({ method, phase }) =>
    phase === 'verified' ? `${method} (signed)` : method,
  );
  return handover ? [...answered, 'POST (postbell setup)'] : answered;
}

/** The place of the event's id, and how far the id can be trusted. */
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

/** All facts that a team needs to set the provider up; null or an empty list where a fact is unknown. */
export interface ProviderGuide {
  name: string;
  title: string;
  docsUrl: string | null;
  scheme: string;
  signsBody: boolean;
  signsUrl: boolean;
  handshakes: string[];
  /** The URL to enter at the provider. */
  url: string;
  urlWhere: string | null;
  secretVariable: string;
  secretLabel: string;
  secretFormat: string;
  secretWhere: string;
  /** The events to select at the provider. */
  events: string | null;
  eventId: string;
  idIsSigned: boolean;
  /** Our answer once the event is committed. */
  accepted: string;
  /** Our answer to a delivery with a wrong signature. */
  rejected: GivenStatus;
  /** Our answer to a delivery that could not be committed in time, or whose secret or key is missing. */
  unavailable: GivenStatus;
  /** Statuses that would end the webhook. Postbell never answers with them. */
  fatal: number[];
  retries: string;
  redelivery: string | null;
  /** The API key for `postbell recover`, and the least that it must be allowed. */
  recover: string | null;
  /** Null: as BODY_LIMIT_BYTES. */
  bodyLimitBytes: number | null;
  sampleTopics: string[];
}

export interface GivenStatus {
  status: number;
  effect: AnswerEffect;
  /** The effect in words, to stand after the status, e.g. `the provider sends again`. */
  meaning: string;
}

/** @param secretVariable of the source that bears the provider's name */
export function describeProvider(provider: Provider, secretVariable: string): ProviderGuide {
  const { name, title, scheme, secret, setup, retries, samples } = provider;
  const { failure = {} } = answerFactsOf(provider);
  const given = (status: number): GivenStatus => {
    const effect = effectOf(provider, status);
    return { status, effect, meaning: effectWords[effect] };
  };
  // A provider that variables describe has no source of its own name.
  const [source, variable] = provider.configure
    ? ['<source>', '<SOURCE>_WEBHOOK_SECRET']
    : [name, secretVariable];
  return {
    name,
    title,
    docsUrl: provider.docsUrl ?? null,
    scheme: scheme.summary,
    signsBody: scheme.signsBody,
    signsUrl: scheme.signsUrl,
    handshakes: describeHandshakes(provider),
    url: `https://<your host>/api/webhooks/${source}`,
    urlWhere: setup?.url ?? null,
    secretVariable: variable,
    secretLabel: secret.label,
    secretFormat: secret.format,
    secretWhere: secret.where,
    events: setup?.events ?? null,
    eventId: describeId(provider),
    idIsSigned: provider.idIsSigned,
    accepted: describeAccepted(provider),
    rejected: given(401),
    unavailable: given(unavailableStatusOf(provider)),
    fatal: Object.keys(failure)
      .map(Number)
      .filter((status) => failure[status] === 'switches-off'),
    retries,
    redelivery: provider.redelivery ?? null,
    recover: provider.recover
      ? `${variable.replace(/WEBHOOK_SECRET$/, 'API_KEY')}: ${provider.recover.key}`
      : null,
    bodyLimitBytes: provider.bodyLimitBytes ?? null,
    sampleTopics: Object.keys(samples).map((topic) => (topic === '*' ? 'any other' : topic)),
  };
}

const effectWords: Record<AnswerEffect, string> = {
  accepted: 'the provider accepts it',
  retried: 'the provider sends again',
  'if-asked': 'the provider sends again only where its settings ask for retries',
  final: 'the provider does not send again',
  'switches-off': 'the provider switches the webhook off',
  unknown: 'the effect is unknown',
};

/** Our answer to most providers. */
export const usualAnswer = '200 {"ok":true,"duplicate":false}';

function describeAccepted(provider: Provider): string {
  const { acceptedAnswer } = provider;
  const { accepted, success = [] } = answerFactsOf(provider);
  const others = success.filter((status) => status !== 200);
  const counting = others.length > 0 ? ` (the provider also takes ${others.join(', ')})` : '';
  if (accepted !== undefined) return accepted;
  if (typeof acceptedAnswer !== 'object') return `${usualAnswer}${counting}`;
  const { status, body } = acceptedAnswer;
  return `${status} ${body === '' ? 'without a body' : body}${counting}`;
}

/** The template in readable form: `{id}`, `{header x-github-delivery}`, `{RecordType}:{ID}`. */
function describeTemplate(template: Template): string {
  if (typeof template === 'string') return template;
  if (!('kind' in template)) return template.map(describeTemplate).join('');
  switch (template.kind) {
    case 'header':
    case 'query':
    case 'formField':
    case 'item':
      return `{${partNames[template.kind]} ${template.name.replace(/=$/, '')}}`;
    case 'json':
      return `{${template.path.join('.')}}`;
    case 'root':
      return `{${template.path.join('.')} of the whole body}`;
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

const partNames = { header: 'header', query: 'query', formField: 'field', item: 'signature item' } as const;
