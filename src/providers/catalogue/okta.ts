// Okta event hooks: a static value in Authorization, a batch of log events; a GET expects its challenge as JSON.
import { splitBody } from '../body/batch.ts';
import { emptyAnswer, isChallenge, jsonAnswer } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft } from '../provider.ts';
import { nextLink, type RecoverSpec } from '../recover.ts';
import { credential } from '../schemes/credential.ts';
import { credentialSecret } from '../secrets.ts';
import { header, json } from '../template/parts.ts';
import { randomId } from './sample.ts';

const recover: RecoverSpec = {
  key: 'API token of an account that may read the System Log (Report Administrator)',
  // The log has far more events than a hook.
  wants: {
    setting: 'TOPICS',
    example: 'the event types of your hook, e.g. user.lifecycle.create,group.user_membership.add',
    pattern: /^[\w.]+(?:,[\w.]+)*$/,
  },
  authorize: (key) => ({ authorization: `SSWS ${key}` }),
  pull: {
    endpoint: 'GET /api/v1/logs',
    page: ({ since, until, cursor, wanted }) =>
      cursor !== undefined
        ? { path: cursor }
        : {
            path: '/api/v1/logs',
            query: {
              limit: '1000',
              sortOrder: 'ASCENDING',
              since: since.toISOString(),
              until: until.toISOString(),
              filter: wanted
                .split(',')
                .map((type) => `eventType eq "${type}"`)
                .join(' or '),
            },
          },
    // Behind the last page there may be a link to an empty one.
    read: ({ json: answer, link }) => ({
      items: answer,
      next: Array.isArray(answer) && answer.length === 0 ? undefined : nextLink(link),
    }),
    body: (item) => ({
      eventType: 'com.okta.event_hook',
      eventTypeVersion: '1.0',
      cloudEventsVersion: '0.1',
      contentType: 'application/json',
      data: { events: [item] },
    }),
  },
  lost: "types that OKTA_API_TOPICS does not name; a pulled event lacks the hook's own eventId, eventTime and source. Okta lists an event up to some minutes after it happened",
};

export const okta: Provider = {
  name: 'okta',
  title: 'Okta event hooks',
  docsUrl: 'https://developer.okta.com/docs/concepts/event-hooks/',
  facts:
    'System Log, its filter, stretch and next link D: okta-management-openapi-spec, and okta-developer-docs, system log query. Authorization, verification by GET, body, uuid against duplicates, empty answer, deadline and retry D: okta-developer-docs, concepts, event hooks.',
  scheme: credential({ at: header('authorization'), name: 'static secret' }),
  secret: credentialSecret({
    label: 'Authentication secret',
    format: 'your own choice of at least 16 letters and digits',
    where: 'Chosen by you: Workflow → Event Hooks → Authentication field `Authorization`, and its secret',
  }),
  idIsSigned: true,
  events: {
    id: json('data.events.0.uuid'),
    topic: json('data.events.0.eventType'),
    occurredAt: { at: json('data.events.0.published'), unit: 'iso' },
    // The member beside the events names the org.
    items: (body) => splitBody(body, 'data.events'),
  },
  handshakes: [{ method: 'GET', phase: 'unsigned', answer: answerVerification }],
  // Okta wants no body in the answer.
  acceptedAnswer: emptyAnswer(),
  retries: 'Wants 200 or 204 without a body within 3 s; one retry at most, none after a 4xx.',
  sending: { newId: () => crypto.randomUUID() },
  answers: { success: [200, 204], failure: { '4xx': 'final', '5xx': 'retried' } },
  recover,
  samples: {
    'user.session.start': (draft) => batch(draft, [draft.id, crypto.randomUUID()]),
    'user.lifecycle.create': (draft) => batch(draft, [draft.id]),
    'group.user_membership.add': (draft) => batch(draft, [draft.id]),
    '*': (draft) => batch(draft, [draft.id]),
  },
};

function answerVerification(delivery: Delivery): HandshakeAnswer | undefined {
  const [challenge, ...more] = delivery.headers['x-okta-verification-challenge'] ?? [];
  return more.length === 0 && isChallenge(challenge) ? jsonAnswer({ verification: challenge }) : undefined;
}

function batch({ topic, now }: SampleDraft, uuids: readonly string[]): object {
  const time = now.toISOString();
  return {
    eventType: 'com.okta.event_hook',
    eventTypeVersion: '1.0',
    cloudEventsVersion: '0.1',
    contentType: 'application/json',
    eventId: crypto.randomUUID(),
    eventTime: time,
    source: 'https://bell.okta.com/api/v1/eventHooks/whoql0HfiLGPWc8Jx0g3',
    data: {
      events: uuids.map((uuid) => ({
        version: '0',
        severity: 'INFO',
        actor: { id: randomId('00u'), type: 'User', alternateId: 'ada@example.com' },
        outcome: { result: 'SUCCESS' },
        uuid,
        published: time,
        eventType: topic,
      })),
    },
  };
}
