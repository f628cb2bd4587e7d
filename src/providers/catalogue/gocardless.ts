// GoCardless: hex HMAC over the body, which holds up to some hundred events.
import { valueAt } from '../body/body.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { type ApiList, bearer, listAt, type RecoverSpec, textAt } from '../recover.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomId } from './sample.ts';

const recover: RecoverSpec = {
  key: 'access token with read-write access (a source without secret: read-only)',
  url: 'https://api.gocardless.com',
  wants: {
    setting: 'ENDPOINT',
    example: 'the URL of your webhook endpoint, as GoCardless has it',
    pattern: /^https?:\/\/\S+$/,
    onlyToSendAgain: true,
  },
  authorize: (key) => ({ ...bearer(key), 'gocardless-version': '2015-07-06' }),
  redeliver: {
    endpoint: 'GET /webhooks, POST /webhooks/{id}/actions/retry',
    page: pageOf('/webhooks'),
    read: ({ json: answer }) => ({
      items: listAt(answer, 'webhooks'),
      next: textAt(answer, 'meta.cursors.after'),
    }),
    delivery: (item, wanted) => {
      if (textAt(item, 'url')?.replace(/\/+$/, '') !== wanted) return undefined;
      const [id, sent] = [textAt(item, 'id'), textAt(item, 'request_body')];
      const eventIds = sent === undefined ? [] : eventIdsIn(sent);
      return id === undefined || eventIds.length === 0 ? undefined : { id, eventIds };
    },
    sentAt: (item) => textAt(item, 'created_at'),
    again: (id) => ({ method: 'POST', path: `/webhooks/${encodeURIComponent(id)}/actions/retry` }),
  },
  pull: {
    endpoint: 'GET /events',
    page: pageOf('/events'),
    read: ({ json: answer }) => ({
      items: listAt(answer, 'events'),
      next: textAt(answer, 'meta.cursors.after'),
    }),
    body: (item) => ({ events: [item] }),
  },
  lost: 'nothing that GoCardless still lists; how long it does is not documented',
};

function pageOf(path: string): ApiList['page'] {
  return ({ since, cursor }) => ({
    path,
    query: {
      limit: '500',
      'created_at[gte]': since.toISOString(),
      ...(cursor === undefined ? {} : { after: cursor }),
    },
  });
}

/** Of the body that was sent. */
function eventIdsIn(body: string): string[] {
  try {
    const events = listAt(JSON.parse(body), 'events');
    return Array.isArray(events) ? events.flatMap((event) => textAt(event, 'id') ?? []) : [];
  } catch {
    return []; // not the text of a webhook
  }
}

export const gocardless: Provider = {
  name: 'gocardless',
  title: 'GoCardless',
  docsUrl: 'https://developer.gocardless.com/getting-started/staying-up-to-date-with-webhooks',
  facts:
    'Lists, their cursor, created_at and retry L: npm gocardless-nodejs, webhooks.list, webhooks.retry and events.list. Signature, events and their ids L: npm gocardless-nodejs, webhooks.parse. Retries M.',
  // The same header name carries another format in Standard Webhooks and at Mautic.
  scheme: hmac({ message: rawBody, signature: { at: header('webhook-signature'), encoding: 'hex' } }),
  secret: textSecret({
    label: 'Webhook endpoint secret',
    where: 'Dashboard → Developers → Webhook endpoints → your endpoint → Secret',
  }),
  idIsSigned: true,
  events: {
    id: json('id'),
    topic: [json('resource_type'), '.', json('action')],
    occurredAt: { at: json('created_at'), unit: 'iso' },
    items: (body) => valueAt(body, ['events']),
  },
  retries: 'Wants a 2xx; up to 8 retries with growing gaps.',
  sending: { newId: () => randomId('EV') },
  answers: { failure: { '5xx': 'retried' } },
  recover,
  samples: {
    'payments.confirmed': (draft) => batch(draft, [draft.id, randomId('EV')]),
    'mandates.created': (draft) => batch(draft, [draft.id]),
    '*': (draft) => batch(draft, [draft.id]),
  },
};

function batch({ topic, now }: SampleDraft, ids: readonly string[]): object {
  const [type, action] = topic.split('.');
  return {
    events: ids.map((id) => ({
      id,
      created_at: now.toISOString(),
      resource_type: type,
      action,
      links: { payment: randomId('PM') },
      details: { origin: 'gocardless', cause: 'payment_confirmed', description: 'Enough time has passed.' },
      metadata: {},
    })),
    meta: { webhook_id: randomId('WB') },
  };
}
