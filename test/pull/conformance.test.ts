// Every provider with `recover`, against a stand-in of its API: one event through both doors is one row and one job.
import t, { type Test } from 'tap';
import { type EventDraft, type Provider, providers, readDrafts } from '../../src/providers/index.ts';
import { acceptDrafts } from '../../src/receive/accept.ts';
import { firstTopic, makeSigned } from '../providers/deliveries.ts';
import { openInbox } from '../support/inbox.ts';
import { receiversOn } from '../support/receivers.ts';
import { type ApiCall, airtablePath, hookPath, type Listed, paypalKey, standIns, startApi } from './api.ts';
import { recovererOn, recoverSourceOf } from './recovering.ts';

type Json = Record<string, unknown>;

/** How a provider's lists show the event of a webhook. */
interface Case {
  env?: Record<string, string>;
  /** The webhook's body where the sample would not do. */
  body?: (sample: Json, nth: number) => Json;
  /** Its events are made of things, and have ids of their own: test/pull/made.test.ts. */
  isMade?: true;
  /** The item of the list that is pulled. */
  pulled?: (body: Json) => object;
  /** The item of the list of deliveries, and the id in the call that asks for it again. */
  sent?: (body: Json, draft: EventDraft, nth: number) => { id: string; item: object };
}

/** Of GoCardless a topic whose sample is a body with one event; Airtable's webhook is a ping, and a payload has no webhook. */
const topics: Record<string, string> = { gocardless: 'mandates.created', airtable: 'payload' };
const topicOf = (provider: Provider) => topics[provider.name] ?? firstTopic(provider);
const ownUrl = 'https://shop.example.com/api/webhooks/gocardless';
/** A delivery to another endpoint of the same account, which must not get it again. */
const foreign: Listed = {
  id: 'WB99',
  at: Date.now() - 300_000,
  item: { id: 'WB99', url: 'https://crm.example.com', request_body: '{"events":[{"id":"EV_foreign"}]}' },
};
/** Where the provider's list has the time of a delivery: by its client's types or its OpenAPI, see `facts` in the catalogue. */
const sentFields: Record<string, string> = {
  github: 'delivered_at',
  paddle: 'occurred_at',
  polar: 'created_at',
  gocardless: 'created_at',
  paypal: 'create_time',
};
const asWebhook = (body: Json) => body;
const cases: Record<keyof typeof standIns, Case> = {
  airtable: {
    env: { AIRTABLE_API_PATH: airtablePath },
    body: (sample, nth) => ({
      ...sample,
      base: { id: 'app00000000000000' },
      webhook: { id: 'ach00000000000000' },
      payloadNumber: nth + 1,
    }),
    pulled: ({ base, webhook, payloadNumber, ...payload }) => payload,
  },
  shopify: { isMade: true, pulled: asWebhook },
  stripe: { pulled: asWebhook },
  github: {
    env: { GITHUB_API_PATH: hookPath },
    sent: (_body, { eventId, topic }, nth) => ({
      // JavaScript would round this id.
      id: `90071992547409931${nth}`,
      item: { guid: eventId, event: topic, redelivery: false, status: 'failed to connect', status_code: 502 },
    }),
  },
  workos: { env: { WORKOS_API_TOPICS: 'user.created, user.updated' }, pulled: asWebhook },
  square: { pulled: asWebhook },
  paddle: {
    env: { PADDLE_API_ENDPOINT: 'ntfset_1' },
    pulled: ({ notification_id, ...body }) => body,
    sent: (payload, _draft, nth) => ({
      id: `ntf_0${nth}`,
      item: { id: `ntf_0${nth}`, status: 'failed', origin: 'event', payload },
    }),
  },
  polar: {
    env: { POLAR_API_ENDPOINT: 'endpoint-1' },
    sent: (body, { eventId: id }) => ({
      id,
      item: {
        id: 'delivery',
        succeeded: false,
        webhook_event: { id, payload: JSON.stringify(body), is_archived: false },
      },
    }),
  },
  gocardless: {
    env: { GOCARDLESS_API_ENDPOINT: `${ownUrl}/` },
    pulled: ({ events }) => (events as object[])[0]!,
    sent: (body, _draft, nth) => ({
      id: `WB0${nth}`,
      item: { id: `WB0${nth}`, successful: false, url: ownUrl, request_body: JSON.stringify(body) },
    }),
  },
  paypal: {
    env: { PAYPAL_API_KEY: paypalKey, PAYPAL_API_ENDPOINT: '1AB' },
    pulled: asWebhook,
    sent: (item, { eventId: id }) => ({ id, item }),
  },
  okta: {
    env: { OKTA_API_TOPICS: firstTopic(providers.okta) },
    pulled: ({ data }) => (data as { events: object[] }).events[0]!,
  },
  chargebee: { pulled: asWebhook },
};

const inbox = await openInbox(t);
const { sql } = inbox;
const receiver = receiversOn(inbox)(t);
const run = recovererOn(inbox);
t.beforeEach(async () => {
  await sql('DELETE FROM webhook_events');
  await sql('DELETE FROM recoveries');
});

t.test('every provider that can be recovered has a case here', async (t) => {
  const able = Object.values<Provider>(providers).filter(({ recover }) => recover);
  t.same(able.map(({ name }) => name).sort(), Object.keys(cases).sort());
  for (const { name, recover } of able) {
    t.equal(cases[name as keyof typeof cases].pulled !== undefined, recover!.pull !== undefined, name);
    t.equal(cases[name as keyof typeof cases].sent !== undefined, recover!.redeliver !== undefined, name);
  }
});

/** A webhook as the provider sends it: some minutes old, so that it is no longer on its way. */
function webhookOf(provider: Provider, nth: number) {
  const at = Math.floor(Date.now() / 1_000) * 1_000 - 600_000 + nth * 1_000;
  const { source, delivery } = makeSigned(provider, { topic: topicOf(provider), now: new Date(at) });
  const { body: replace } = cases[provider.name as keyof typeof cases];
  if (replace)
    delivery.body = Buffer.from(JSON.stringify(replace(JSON.parse(delivery.body.toString()), nth)));
  // The sample of Okta has two events; one is enough here.
  const drafts = readDrafts(source, delivery).slice(0, 1);
  const accept = () =>
    acceptDrafts(receiver, {
      source: source.name,
      provider: provider.name,
      drafts,
      headers: {},
      body: delivery.body,
    });
  return { at, draft: drafts[0]!, body: JSON.parse(delivery.body.toString()) as Json, accept };
}

type Webhook = ReturnType<typeof webhookOf>;
const webhooksOf = (provider: Provider, count: number) =>
  Array.from({ length: count }, (_, index) => webhookOf(provider, index));
const rows = () =>
  sql(
    `SELECT event_id, topic, occurred_at, received_by, job_id, duplicates FROM webhook_events ORDER BY occurred_at`,
  );

async function openPulled(t: Test, name: keyof typeof cases, webhooks: readonly Webhook[]) {
  const { pulled, env } = cases[name];
  const listed = webhooks.map(
    ({ body, draft: { eventId }, at }): Listed => ({ id: eventId, at, item: pulled!(body) }),
  );
  const api = await startApi(t, (call) => standIns[name](listed, call, 2));
  return { api, recover: recoverSourceOf(name, api.url, env) };
}

for (const [name, { pulled, sent, env, isMade }] of Object.entries(cases)) {
  const known = name as keyof typeof cases;
  const provider: Provider = providers[known];

  if (pulled && !isMade) {
    t.test(`${name}: a pulled event is the event of its webhook`, async (t) => {
      const webhooks = webhooksOf(provider, 5);
      const { recover } = await openPulled(t, known, webhooks);
      t.match(await run(t, recover), { way: 'pull', recovered: 5, known: 0, isComplete: true });
      t.same(
        (await rows()).map(({ event_id, topic, occurred_at }) => [event_id, topic, occurred_at]),
        webhooks.map(({ draft: { eventId, topic, occurredAt } }) => [eventId, topic, occurredAt]),
      );
      const shallow = (value: Json) => Object.keys(value).sort();
      const [row] = await sql('SELECT payload FROM webhook_events ORDER BY occurred_at LIMIT 1');
      const payload = JSON.parse(webhooks[0]!.draft.payloadText!) as Json;
      const lacking = shallow(payload).filter((key) => !(key in (row!.payload as Json)));
      const expected: Record<string, string[]> = {
        okta: ['eventId', 'eventTime', 'source'],
        paddle: ['notification_id'],
      };
      t.ok(
        lacking.every((key) => expected[name]?.includes(key)),
        `it lacks ${lacking.join(', ') || 'nothing'}`,
      );
    });

    t.test(`${name}: both doors, in either order and at once: one row, one job`, async (t) => {
      const webhooks = webhooksOf(provider, 4);
      const [first, atOnce] = webhooks as [Webhook, Webhook];
      const { recover } = await openPulled(t, known, webhooks);
      await first.accept();
      const [result] = await Promise.all([run(t, recover), atOnce.accept()]);
      t.ok(result!.recovered + result!.known === 4);
      for (const { accept } of webhooks) t.match(await accept(), { duplicate: true });
      const found = await rows();
      t.equal(found.length, 4);
      t.equal(new Set(found.map(({ job_id }) => job_id)).size, 4);
      t.equal(found[0]!.received_by, 'webhook');
      t.same([found[2]!.received_by, found[3]!.received_by], ['pull', 'pull']);
    });
  }

  if (sent) {
    t.test(`${name}: the provider sends again exactly what is missing`, async (t) => {
      const webhooks = webhooksOf(provider, 4);
      const deliveries = webhooks.map(({ body, draft, at }, nth) => {
        const { id, item } = sent(body, draft, nth);
        return { id, at, item };
      });
      await webhooks[1]!.accept();
      const asked: string[] = [];
      const api = await startApi(t, async (call: ApiCall) => {
        const found = deliveries.findIndex(({ id }) => call.path.split('/').includes(id));
        if (found !== -1) {
          asked.push(deliveries[found]!.id);
          await webhooks[found]!.accept();
        }
        const shown = deliveries.map((delivery) => withTime(name, delivery));
        const listed = name === 'gocardless' ? [...shown, foreign] : shown;
        return standIns[known](listed, call, 2);
      });
      const secret = { [`${name.toUpperCase()}_WEBHOOK_SECRET`]: provider.secret.generate().secret };
      const recover = recoverSourceOf(known, api.url, {
        ...secret,
        ...env,
        PUBLIC_URL: 'https://shop.example.com',
      });
      t.match(await run(t, recover, { isDryRun: true }), { way: 'redeliver', asked: 3, known: 1 });
      t.same(asked, []);
      t.match(await run(t, recover), { asked: 3, recovered: 3, known: 1, isComplete: true });
      t.same(
        asked.sort(),
        deliveries
          .filter((_, nth) => nth !== 1)
          .map(({ id }) => id)
          .sort(),
      );
      const doors = new Map((await rows()).map(({ event_id, received_by }) => [event_id, received_by]));
      t.same(
        webhooks.map(({ draft }) => doors.get(draft.eventId)),
        ['redelivery', 'webhook', 'redelivery', 'redelivery'],
      );
      t.match(await run(t, recover), { asked: 0, known: 4 });
    });

    t.test(`${name}: a webhook that may be on its way is not asked for`, async (t) => {
      const [old, young] = webhooksOf(provider, 2).map(({ body, draft, at }, nth) =>
        withTime(name, { ...sent(body, draft, nth), at: nth === 0 ? at : Date.now() - 20_000 }),
      );
      const api = await startApi(t, (call) => standIns[known]([old!, young!], call));
      const secret = { [`${name.toUpperCase()}_WEBHOOK_SECRET`]: provider.secret.generate().secret };
      const PUBLIC_URL = 'https://shop.example.com';
      const recover = recoverSourceOf(known, api.url, { ...secret, ...env, PUBLIC_URL });
      t.match(await run(t, recover, { isDryRun: true }), { way: 'redeliver', asked: 1 });
    });
  }
}

/** As the provider's list shows when it was sent. GitHub's id is a number beyond 2^53. */
function withTime(name: string, { id, at, item }: Listed): Listed {
  const field = sentFields[name]!;
  const { rawJSON } = JSON as unknown as { rawJSON(text: string): unknown };
  const own = name === 'github' ? { id: rawJSON(id) } : {};
  return { id, at, item: { ...item, ...own, [field]: new Date(at).toISOString() } };
}
