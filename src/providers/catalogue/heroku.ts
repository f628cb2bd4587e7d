// Heroku app webhooks: base64 HMAC over the body; the body differs between attempts, the event's id stays.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';

export const heroku: Provider = {
  name: 'heroku',
  title: 'Heroku',
  docsUrl: 'https://devcenter.heroku.com/articles/app-webhooks',
  facts:
    'Header, levels and the entities D: devcenter.heroku.com, App Webhooks and its API reference. base64 over the raw body T: five public receivers, Sentry among them. Body T: a real one in a public test, where id is the id of the event and webhook_metadata names the attempt. 72 h D: Heroku changelog 2525.',
  scheme: hmac({
    message: rawBody,
    signature: { at: header('heroku-webhook-hmac-sha256'), encoding: 'base64' },
  }),
  secret: textSecret({
    label: 'Secret',
    where: 'Dashboard → your app → More → View webhooks, or heroku webhooks:add --secret',
  }),
  idIsSigned: true,
  events: {
    id: json('id'),
    topic: [json('resource'), '.', json('action')],
    // The time of the event. Whether published_at stays the same over attempts is not documented.
    occurredAt: { at: json('created_at'), unit: 'iso' },
  },
  retries: 'At the level sync it tries again for up to 72 h; at the level notify never.',
  sending: { newId: () => crypto.randomUUID() },
  answers: 'unknown',
  samples: {
    'release.create': (draft) =>
      event(draft, { status: 'pending', version: 44, description: 'Deploy 69eec518' }),
    'build.update': (draft) => event(draft, { status: 'succeeded' }),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic, id, now }: SampleDraft, data: object): object {
  const [resource, action] = topic.split('.');
  return {
    id,
    action,
    resource,
    data: { id: crypto.randomUUID(), app: { id: crypto.randomUUID(), name: 'bell' }, ...data },
    actor: { id: crypto.randomUUID(), email: 'ada@example.com' },
    previous_data: {},
    created_at: now.toISOString(),
    updated_at: now.toISOString(),
    published_at: now.toISOString(),
    sequence: null,
    version: 'application/vnd.heroku+json; version=3',
    webhook_metadata: {
      attempt: { id: crypto.randomUUID() },
      delivery: { id: crypto.randomUUID() },
      event: { id, include: `api:${resource}` },
      webhook: { id: crypto.randomUUID() },
    },
  };
}
