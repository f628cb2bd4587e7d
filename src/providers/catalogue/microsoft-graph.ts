// Microsoft Graph: nothing is signed; every notification of a batch repeats the clientState of its subscription.
import { decodeBody, valueAt } from '../body/body.ts';
import { sameText } from '../equal.ts';
import { queryParam } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft, Scheme, Verdict } from '../provider.ts';
import { maxSignatureChars } from '../schemes/signature.ts';
import { credentialSecret } from '../secrets.ts';
import { arrival, computed, firstOf, json, type Part, type Reading } from '../template/parts.ts';
import { missing, readText } from '../template/reading.ts';
import { randomId } from './sample.ts';

const inResourceData = (name: string): Part => ({ kind: 'json', path: ['resourceData', name] });

export const microsoftGraph: Provider = {
  name: 'microsoft-graph',
  title: 'Microsoft Graph',
  docsUrl: 'https://learn.microsoft.com/graph/change-notifications-delivery-webhooks',
  facts:
    'validationToken echoed as text/plain within 10 s, clientState, value[], 3 s and 4 h of retries D: learn.microsoft.com, change notifications through webhooks. Encrypted resource data is stored as it comes. An id is sent for some resources only M.',
  scheme: clientState(),
  secret: credentialSecret({
    label: 'clientState',
    format: 'your own choice of 16 to 128 letters and digits',
    where: 'Chosen by you: clientState of each subscription request',
  }),
  idIsSigned: true,
  body: { credentials: ['value.*.clientState'] },
  events: {
    // Without an id or a version, two changes of one resource look equal: each delivery is then an event.
    id: firstOf(
      json('id'),
      [
        json('subscriptionId'),
        ':',
        json('changeType'),
        ':',
        json('resource'),
        ':',
        inResourceData('@odata.etag'),
      ],
      [json('subscriptionId'), ':', json('changeType'), ':', json('resource'), ':', arrival],
      [json('subscriptionId'), ':', json('lifecycleEvent'), ':', arrival],
    ),
    topic: firstOf([computed(kindOf), '.', json('changeType')], json('changeType'), [
      'lifecycle.',
      json('lifecycleEvent'),
    ]),
    items: (body) => valueAt(body, ['value']),
  },
  handshakes: [{ method: 'POST', phase: 'unsigned', answer: answerValidation }],
  retries: 'Wants a 2xx within 3 s (10 at most); tries again for up to 4 h.',
  sending: { newId: () => crypto.randomUUID() },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'message.created': (draft) => notification(draft),
    'event.updated': (draft) => notification(draft),
    'lifecycle.reauthorizationRequired': ({ topic, id }) => ({
      value: [
        {
          id,
          subscriptionId: sampleSubscription,
          lifecycleEvent: topic.split('.')[1],
          tenantId: sampleTenant,
        },
      ],
    }),
    '*': (draft) => notification(draft),
  },
};

const sampleSubscription = '76619225-ff6b-4e47-8c4a-b1f3a2d2b2d5';
const sampleTenant = '84bd8158-6d4d-4958-8b9f-9d6445542f95';

/** Several subscriptions may share one POST, so every item must repeat one of our secrets. */
function clientState(): Scheme {
  return {
    summary: 'clientState in every item of the body',
    proofHeaders: [],
    proofParams: [],
    signsBody: false,
    acceptsBearer: true,
    signsUrl: false,
    prepare:
      (source) =>
      (delivery): Verdict => {
        const items = valueAt(decodeBody(delivery, source).value, ['value']);
        if (!Array.isArray(items) || items.length === 0) return missing('value in the body');
        let secretIndex = 0;
        for (const item of items) {
          const state = valueAt(item, ['clientState']);
          if (typeof state !== 'string') return missing('clientState in an item');
          if (state.length > maxSignatureChars) return { ok: false, reason: 'malformed_signature' };
          secretIndex = source.secrets.findIndex((secret) => secret !== '' && sameText(secret, state));
          if (secretIndex < 0) return { ok: false, reason: 'wrong_signature' };
        }
        return { ok: true, secretIndex };
      },
    sign(request, source) {
      const body: unknown = JSON.parse(request.body.toString());
      const items = valueAt(body, ['value']);
      if (!Array.isArray(items))
        throw new Error('the body has no list `value` whose items could bear the clientState');
      for (const item of items) item.clientState = source.secrets[0];
      request.body = Buffer.from(JSON.stringify(body));
    },
  };
}

/** `#Microsoft.Graph.Message` → `message`. */
function kindOf(reading: Reading): string | undefined {
  const name = readText(inResourceData('@odata.type'), reading)?.split('.').at(-1);
  return name ? name.charAt(0).toLowerCase() + name.slice(1) : undefined;
}

/** Graph's token holds blanks and colons, so `isChallenge` does not fit. Characters of markup are rejected. */
function answerValidation(delivery: Delivery): HandshakeAnswer | undefined {
  const token = queryParam(delivery, 'validationToken');
  if (token === undefined || !/^[\x20-\x3b\x3d\x3f-\x7e]{1,1024}$/.test(token)) return undefined;
  return {
    status: 200,
    contentType: 'text/plain; charset=utf-8',
    body: token,
    headers: { 'x-content-type-options': 'nosniff' },
  };
}

function notification({ topic, id }: SampleDraft): object {
  const [kind = '', changeType] = topic.split('.');
  const resource = `Users/${sampleTenant}/${kind}s/${randomId()}`;
  return {
    value: [
      {
        id,
        subscriptionId: sampleSubscription,
        subscriptionExpirationDateTime: '2026-12-01T00:00:00.0000000Z',
        changeType,
        resource,
        tenantId: sampleTenant,
        resourceData: {
          '@odata.type': `#Microsoft.Graph.${kind.charAt(0).toUpperCase()}${kind.slice(1)}`,
          '@odata.id': resource,
          '@odata.etag': `W/"${randomId()}"`,
          id: randomId(),
        },
      },
    ],
  };
}
