// Sentry: hex HMAC over the body; a header and `action` together name the kind of event.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { firstOf, header, json, rawBody } from '../template/parts.ts';
import { randomId, randomNumber, unixSeconds } from './sample.ts';

const resourceHeader = 'sentry-hook-resource';

export const sentry: Provider = {
  name: 'sentry',
  title: 'Sentry',
  docsUrl: 'https://docs.sentry.io/organization/integrations/integration-platform/webhooks/',
  facts:
    'Headers, what each is for and the deadline D: docs.sentry.io, integration platform webhooks, and its changelog of 2023-10-03. Signature over the bytes T: Nango, Trigger.dev. Body, and that Request-ID and Sentry-Hook-Timestamp are new for each sending L: getsentry/sentry, app_platform_event.py; so the id is the hash of the signed body: an issue that is resolved a second time with nothing new in it counts as the first. Retries L: the same, tasks/sentry_apps.py.',
  scheme: hmac({
    message: rawBody,
    signature: { at: header('sentry-hook-signature'), encoding: 'hex' },
  }),
  secret: textSecret({
    label: 'Client secret',
    where: 'Settings → Developer Settings → your integration → Credentials → Client Secret',
  }),
  // Request-ID differs between retries, so it is no event id. The id is the hash of the signed body; the header that names
  // the topic is not signed.
  idIsSigned: false,
  events: {
    topic: firstOf([header(resourceHeader), '.', json('action')], header(resourceHeader)),
    occurredAt: { at: header('sentry-hook-timestamp'), unit: 's' },
  },
  headers: ['request-id', resourceHeader, 'sentry-hook-timestamp'],
  retries:
    'Wants a 2xx within 1 s; up to three more tries, 5 min apart, after 503, 504 and timeouts; 1,000 timeouts in 24 h end the subscription.',
  sending: {
    headers: ({ topic, now }) => ({
      'request-id': randomId(),
      [resourceHeader]: topic.split('.')[0] ?? topic,
      'sentry-hook-timestamp': String(unixSeconds(now)),
    }),
  },
  answers: { failure: { 503: 'retried', 504: 'retried' } },
  samples: {
    'issue.created': (draft) => event(draft, { issue: issue('unresolved') }),
    'issue.resolved': (draft) => event(draft, { issue: issue('resolved') }),
    'event_alert.triggered': (draft) =>
      event(draft, {
        event: { event_id: randomId(), title: 'Error: the bell is silent', level: 'error' },
        triggered_rule: 'Every silent bell',
      }),
    '*': (draft) => event(draft, { id: randomId() }),
  },
};

function issue(status: string): object {
  return {
    id: String(randomNumber(10)),
    shortId: 'BELL-1A',
    title: 'Error: the bell is silent',
    status,
    level: 'error',
    project: { id: '1', name: 'bell', slug: 'bell' },
  };
}

function event({ topic }: SampleDraft, data: object): object {
  return {
    action: topic.slice(topic.indexOf('.') + 1),
    installation: { uuid: crypto.randomUUID() },
    data,
    actor: { type: 'application', id: 'sentry', name: 'Sentry' },
  };
}
