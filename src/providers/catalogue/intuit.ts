// Intuit QuickBooks: base64 HMAC over the body, a batch: CloudEvents since 2026, changes by company before.
import { valueAt } from '../body/body.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { firstOf, header, json, rawBody } from '../template/parts.ts';
import { randomId, randomNumber } from './sample.ts';

export const intuit: Provider = {
  name: 'intuit',
  title: 'Intuit QuickBooks',
  docsUrl: 'https://developer.intuit.com/app/developer/qbo/docs/develop/webhooks',
  facts:
    'Signature T: several implementations that agree and the AsyncAPI of apis.io. Both body formats D: blogs.intuit.com, upcoming change to webhooks payload structure (mandatory since May 2026).',
  scheme: hmac({ message: rawBody, signature: { at: header('intuit-signature'), encoding: 'base64' } }),
  secret: textSecret({
    label: 'Verifier token',
    where: 'developer.intuit.com → your app → Webhooks → Show verifier token',
  }),
  idIsSigned: true,
  events: {
    id: firstOf(json('id'), [
      json('realmId'),
      ':',
      json('entity.name'),
      ':',
      json('entity.id'),
      ':',
      json('entity.operation'),
      ':',
      json('entity.lastUpdated'),
    ]),
    topic: firstOf(json('type'), [json('entity.name'), '.', json('entity.operation')]),
    occurredAt: { at: firstOf(json('time'), json('entity.lastUpdated')), unit: 'iso' },
    items: (body) => (Array.isArray(body) ? body : changes(body)),
  },
  retries: 'Wants 200 within a few seconds; tries again.',
  sending: { newId: () => crypto.randomUUID() },
  answers: { success: [200], failure: { '5xx': 'retried' } },
  samples: {
    'qbo.invoice.created.v1': (draft) => [event(draft, draft.id), event(draft, crypto.randomUUID())],
    'qbo.payment.updated.v1': (draft) => [event(draft, draft.id)],
    'Customer.Update': ({ now }) => ({
      eventNotifications: [
        {
          realmId: '310687',
          dataChangeEvent: {
            entities: [
              {
                id: String(randomNumber(12)),
                operation: 'Update',
                name: 'Customer',
                lastUpdated: now.toISOString(),
              },
            ],
          },
        },
      ],
    }),
    '*': (draft) => [event(draft, draft.id)],
  },
};

/** The older format: one item per changed entity, with the company it belongs to. */
function changes(body: unknown): unknown[] | undefined {
  const notifications = valueAt(body, ['eventNotifications']);
  if (!Array.isArray(notifications)) return undefined;
  return notifications.flatMap((notification) => {
    const entities = valueAt(notification, ['dataChangeEvent', 'entities']);
    const realmId = valueAt(notification, ['realmId']);
    return Array.isArray(entities) ? entities.map((entity) => ({ realmId, entity })) : [];
  });
}

function event({ topic, now }: SampleDraft, id: string): object {
  return {
    specversion: '1.0',
    id,
    source: `intuit.${randomId()}`,
    type: topic,
    datacontenttype: 'application/json',
    time: now.toISOString(),
    intuitentityid: String(randomNumber(12)),
    intuitaccountid: '310687',
    data: {},
  };
}
