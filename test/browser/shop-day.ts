// A shop's day as rows: several sources, dead letters, retries, rejections, what operators did. For pages that look like real ones.
type Sql = (text: string, values?: unknown[]) => Promise<Record<string, unknown>[]>;

/** What `web` must know of: a secret for each, of the right form. */
export const shopSources: Record<string, string> = {
  POSTBELL_SOURCES: 'stripe-eu=stripe',
  STRIPE_WEBHOOK_SECRET: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  STRIPE_EU_WEBHOOK_SECRET: 'whsec_Qm5kQ9r8GKYqrTwjUPD8ILPZIo2LaSwMf',
  STRIPE_EU_QUARANTINE_MB: '10',
  SHOPIFY_WEBHOOK_SECRET: 'a6c1f24ee7b04c2c9d1b7d8f3e5a9c04',
  GITHUB_WEBHOOK_SECRET: 'a-long-secret-of-the-repository',
  SLACK_WEBHOOK_SECRET: '8f742231b10e8888abcd99yyyzzz85a5',
  PADDLE_WEBHOOK_SECRET: 'pdl_ntfset_01hq3v9s0000000000000000',
};

/** The events that have pages of their own. */
export const shown = {
  dead: { source: 'stripe', id: 'evt_1QkTz8LkdIwHu7ixWm3vTq0b' },
  retrying: { source: 'shopify', id: '9b6f2d52-0d0e-4f59-a3a2-6a0c1e1f7c55' },
  processed: { source: 'stripe', id: 'evt_1QkTx1LkdIwHu7ixd8Kc2PzR' },
  rehearsed: { source: 'stripe', id: 'evt_1QkTzbLkdIwHu7ixYp5sC0dE' },
};

const sources: [source: string, provider: string, perDay: number, topics: string[], id: string][] = [
  [
    ...(['stripe', 'stripe', 2_900] as const),
    ['payment_intent.succeeded', 'charge.succeeded', 'invoice.paid', 'customer.subscription.updated'],
    `'evt_1Qk' || translate(encode(substring(sha256(int8send(n)) FOR 16), 'base64'), '+/=', 'xyz')`,
  ],
  [
    ...(['stripe-eu', 'stripe', 410] as const),
    ['payment_intent.succeeded', 'checkout.session.completed'],
    `'evt_1Qe' || translate(encode(substring(sha256(int8send(n)) FOR 16), 'base64'), '+/=', 'xyz')`,
  ],
  [
    ...(['shopify', 'shopify', 1_650] as const),
    ['orders/create', 'orders/updated', 'inventory_levels/update', 'fulfillments/create'],
    'gen_random_uuid()::text',
  ],
  [
    ...(['github', 'github', 520] as const),
    ['push', 'pull_request.opened', 'workflow_run.completed'],
    'gen_random_uuid()::text',
  ],
  [
    ...(['slack', 'slack', 90] as const),
    ['app_mention', 'message.channels'],
    `'Ev08' || upper(substr(md5(n::text), 1, 7))`,
  ],
  [
    ...(['paddle', 'paddle', 60] as const),
    ['transaction.completed', 'subscription.updated'],
    `'evt_01jc' || substr(md5('p' || n), 1, 22)`,
  ],
];

/** Dead letters: source, topic, number, the newest's age in minutes, the span in minutes, error. */
const deadLetters: [string, string, number, number, number, string][] = [
  [
    ...(['stripe', 'charge.refunded', 214, 3, 190] as const),
    `'TypeError: Cannot read properties of undefined (reading ''order_id'')'`,
  ],
  [
    ...(['shopify', 'orders/create', 61, 12, 47] as const),
    `'Error: connect ECONNREFUSED 10.0.3.' || n % 9 || ':5432; cause: the warehouse did not answer'`,
  ],
  [
    ...(['paddle', 'subscription.updated', 8, 95, 600] as const),
    `'error: duplicate key value violates unique constraint "subscriptions_pkey"; statement: INSERT INTO subscriptions (id, plan, renews_at) VALUES ($1, $2, $3)'`,
  ],
  [
    ...(['github', 'workflow_run.completed', 2, 230, 60] as const),
    `'PermanentError: repository acme-corporation/storefront-monorepo-with-a-long-name is archived'`,
  ],
  [
    ...(['stripe-eu', 'checkout.session.completed', 1, 620, 1] as const),
    `'ZodError: payload: data.object.customer_details.tax_ids.0.value: Invalid input: expected string, received null'`,
  ],
];

const payload = {
  id: shown.dead.id,
  object: 'event',
  api_version: '2026-08-27.basil',
  created: 1_795_000_000,
  type: 'charge.refunded',
  livemode: true,
  data: {
    object: {
      id: 'ch_3QkTz8LkdIwHu7ix1Gh8sW2n',
      amount: 12_900,
      amount_refunded: 12_900,
      currency: 'eur',
      metadata: {},
      billing_details: { name: 'Zoë Müller-Lüdenscheidt', email: 'zoe@example.com', phone: null },
      refunds: {
        object: 'list',
        has_more: false,
        data: [{ id: 're_3QkTz8', reason: 'requested_by_customer' }],
      },
    },
  },
};

const stack = `TypeError: Cannot read properties of undefined (reading 'order_id')
    at refundOrder (/app/handlers/stripe/refunds.ts:41:52)
    at Object.handle (/app/handlers/stripe/index.ts:18:11)`;

export async function fillShopDay(sql: Sql): Promise<void> {
  await sql('SELECT setseed(0.5)');
  for (const source of sources) await storeArrivals(sql, source);
  for (const group of deadLetters) await storeDeadLetters(sql, group);
  await storeWaiting(sql);
  await storeShown(sql);
  await storeRejections(sql);
  await storeQuarantine(sql);
  await storeRehearsal(sql);
  await storeCapture(sql);
  await storeOperations(sql);
  await sql('ANALYZE');
}

/** More by day than by night; a few IGNORED among them. */
async function storeArrivals(
  sql: Sql,
  [source, provider, perDay, topics, id]: (typeof sources)[number],
): Promise<void> {
  await sql(
    `INSERT INTO webhook_events (source, provider, event_id, topic, payload, received_at, status, processed_at, ignored_reason, attempts, entity, body_sha256)
     SELECT $1::text, $2::text, id, ($3::text[])[1 + floor(random() * cardinality($3::text[]))], '{}', at, CASE WHEN ignored THEN 'IGNORED' ELSE 'PROCESSED' END,
       CASE WHEN NOT ignored THEN at + random() * interval '2 s' END, CASE WHEN ignored THEN 'no handler' END, (NOT ignored)::int, NULL, sha256(convert_to(id, 'UTF8'))
     FROM (SELECT ${id} AS id, now() - interval '40 s' - random() * interval '24 hours' AS at, random() < 0.04 AS ignored, random() AS chance
       FROM generate_series(1, $4::int) n) drawn
     WHERE chance < 0.35 + 0.65 * (1 + sin(extract(epoch FROM at) / 86400 * 2 * pi() - pi() / 2)) / 2
     ON CONFLICT DO NOTHING`,
    [source, provider, topics, perDay * 2],
  );
}

async function storeDeadLetters(
  sql: Sql,
  [source, topic, count, newestMinutes, spanMinutes, error]: (typeof deadLetters)[number],
): Promise<void> {
  const id = sources.find(([name]) => name === source)![4];
  await sql(
    `INSERT INTO webhook_events (source, provider, event_id, topic, payload, received_at, status, last_error, attempts, body_sha256)
     SELECT $1::text, split_part($1::text, '-', 1), ${id}, $2, '{}', now() - ($4 + (n - 700001) * $5::float8 / $3) * interval '1 min', 'FAILED', ${error}, 5, sha256(int8send(n) || convert_to($1::text, 'UTF8'))
     FROM generate_series(700001, 700000 + $3::int) n`,
    [source, topic, count, newestMinutes, spanMinutes],
  );
}

/** Some retrying with a job that starts later, some that arrived just now, one deferred. */
async function storeWaiting(sql: Sql): Promise<void> {
  await sql(
    `WITH waiting AS (
       INSERT INTO webhook_events (source, provider, event_id, topic, payload, received_at, last_error, attempts, job_id, body_sha256)
       SELECT 'shopify', 'shopify', CASE n WHEN 1 THEN $1 ELSE gen_random_uuid()::text END, 'orders/create', '{"id": 5678901234567890123, "total_price": "129.00"}',
         now() - (4 + n * 3) * interval '1 min', 'Error: connect ECONNREFUSED 10.0.3.17:5432; cause: the warehouse did not answer', 1 + n % 3, gen_random_uuid(), sha256(int8send(n))
       FROM generate_series(1, 9) n RETURNING job_id, attempts)
     INSERT INTO pgboss.job (id, name, data, start_after, state)
     SELECT job_id, 'webhooks', '{}', now() + attempts * interval '2 min 10 s', 'retry' FROM waiting`,
    [shown.retrying.id],
  );
  await sql(
    `INSERT INTO failed_attempts (source, event_id, error, started_at, failed_at)
     SELECT source, event_id, last_error, now() - interval '5 min 2 s', now() - interval '5 min' FROM webhook_events WHERE event_id = $1
     UNION ALL SELECT source, event_id, last_error, now() - interval '3 min 2 s', now() - interval '3 min' FROM webhook_events WHERE event_id = $1`,
    [shown.retrying.id],
  );
  await sql(
    `INSERT INTO webhook_events (source, provider, event_id, topic, payload, received_at, job_id, body_sha256)
     SELECT 'stripe', 'stripe', 'evt_1QkU' || substr(md5('w' || n), 1, 20), 'invoice.paid', '{}', now() - n * interval '6 s', gen_random_uuid(), sha256(int8send(-n))
     FROM generate_series(1, 5) n`,
  );
}

async function storeShown(sql: Sql): Promise<void> {
  const headers = {
    'content-type': 'application/json; charset=utf-8',
    'user-agent': 'Stripe/1.0 (+https://stripe.com/docs/webhooks)',
    'stripe-signature':
      't=1795000001,v1=5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd,v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39',
  };
  await sql(
    `INSERT INTO webhook_events (source, provider, event_id, topic, payload, headers, received_at, occurred_at, status, last_error, attempts, duplicates, entity, body_sha256)
     VALUES ('stripe', 'stripe', $1, 'charge.refunded', $2, $3, now() - interval '2 h 4 min', now() - interval '2 h 4 min 1 s', 'FAILED',
       'TypeError: Cannot read properties of undefined (reading ''order_id'')', 5, 2, 'ch_3QkTz8LkdIwHu7ix1Gh8sW2n', sha256('dead'))`,
    [shown.dead.id, JSON.stringify(payload), JSON.stringify(headers)],
  );
  await sql(
    `INSERT INTO failed_attempts (source, event_id, error, stack, started_at, failed_at)
     SELECT 'stripe', $1, 'TypeError: Cannot read properties of undefined (reading ''order_id''); cause: refund re_3QkTz8 names no order; statement: SELECT order_id FROM payments WHERE charge = $1',
       $2, at - interval '320 ms', at FROM unnest(ARRAY[124, 123, 121, 117, 109]) WITH ORDINALITY AS t (minutes, n), LATERAL (SELECT now() - minutes * interval '1 min') AS a (at) ORDER BY n`,
    [shown.dead.id, stack],
  );
  await sql(
    `INSERT INTO webhook_events (source, provider, event_id, topic, payload, received_at, occurred_at, status, processed_at, attempts, entity, body_sha256)
     VALUES ('stripe', 'stripe', $1, 'charge.succeeded', $2, now() - interval '2 days', now() - interval '2 days 1 s', 'PROCESSED', now() - interval '2 days', 1, 'ch_3QkTz8LkdIwHu7ix1Gh8sW2n', sha256('done'))`,
    [
      shown.processed.id,
      JSON.stringify({
        ...payload,
        id: shown.processed.id,
        type: 'charge.succeeded',
        data: { object: payload.data.object },
      }),
    ],
  );
}

async function storeRejections(sql: Sql): Promise<void> {
  await sql(
    `INSERT INTO rejected_requests (source, reason, detail, request_id, received_at, body_bytes, skipped)
     SELECT source, reason, detail, 'req-' || substr(md5(source || reason || n), 1, 8), now() - (n * minutes) * interval '1 min', 900 + n * 37, skipped
     FROM (VALUES
       ('stripe-eu', 'wrong_secret', NULL, 23, 2.5, 1),
       ('github', 'altered_body', 'the signature fits the body with its line breaks as CRLF', 3, 61.0, 0),
       ('shopify', 'too_old', 'signed 41 min ago; 5 min are allowed', 2, 140.0, 0),
       ('twilio', 'no_secret', NULL, 6, 33.0, 0)) AS r (source, reason, detail, count, minutes, skipped), LATERAL generate_series(1, count) n
     ORDER BY 5`,
  );
}

/** The wrong secret of stripe-eu, kept since it is wrong. */
async function storeQuarantine(sql: Sql): Promise<void> {
  await sql(
    `INSERT INTO quarantined_requests (source, arrived_at, address, reason, request_id, method, url, headers, body, bytes)
     SELECT 'stripe-eu', now() - n * interval '150 s', '203.0.113.' || 1 + n % 3, 'wrong_secret', 'req-' || n, 'POST', '/api/webhooks/stripe-eu', '{}', '{}', 1400
     FROM generate_series(1, 23) n`,
  );
}

/** The row that a worker writes. The handler was corrected after the event had failed. */
async function storeRehearsal(sql: Sql): Promise<void> {
  const { source, id } = shown.rehearsed;
  const result = {
    ...{ outcome: 'processed', isFinal: false, durationMs: 14.2, furtherStatements: 0 },
    tables: [
      { table: 'refunds', inserted: 1, updated: 0, deleted: 0 },
      { table: 'orders', inserted: 0, updated: 1, deleted: 0 },
    ],
    statements: [
      {
        text: 'SELECT order_id FROM payments WHERE charge = $1',
        rowCount: 1,
        rows: ['{"order_id":"ord_77120"}'],
      },
      { text: 'INSERT INTO refunds (order_id, charge, amount) VALUES ($1, $2, $3)', rowCount: 1, rows: [] },
      {
        text: `UPDATE orders SET state = 'refunded' WHERE id = $1 RETURNING id, state`,
        rowCount: 1,
        rows: ['{"id":"ord_77120","state":"refunded"}'],
      },
    ],
  };
  await sql(
    `INSERT INTO webhook_events (source, provider, event_id, topic, payload, received_at, occurred_at, status, last_error, attempts, entity, body_sha256)
     VALUES ($1, 'stripe', $2, 'charge.refunded', $3, now() - interval '2 h', now() - interval '2 h', 'FAILED',
       'TypeError: Cannot read properties of undefined (reading ''order_id'')', 5, 'ch_3QkTzbLkdIwHu7ix', sha256('rehearsed'))`,
    [source, id, JSON.stringify({ ...payload, id })],
  );
  await sql(
    `INSERT INTO rehearsals (source, event_id, asked_by, asked_at, started_at, ends_before, ended_at, result)
     VALUES ($1, $2, 'Ada', now() - interval '40 s', now() - interval '39 s', now(), now() - interval '38 s', $3)`,
    [source, id, JSON.stringify(result)],
  );
}

/** Requests at the source github: eleven are accepted, a proxy altered the body of one. */
async function storeCapture(sql: Sql): Promise<void> {
  await sql(
    `INSERT INTO captures (source, opened_at, ends_at, opened_by) VALUES ('github', now() - interval '9 min', now() + interval '21 min', 'Ada')`,
  );
  const headers = {
    'content-type': ['application/json'],
    'user-agent': ['GitHub-Hookshot/0d9f6ab'],
    'x-github-event': ['pull_request'],
    'x-github-delivery': ['72d3162e-cc78-11e3-81ab-4c9367dc0958'],
    'x-hub-signature-256': ['sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17'],
  };
  const body = {
    action: 'opened',
    number: 118,
    pull_request: { title: 'Refunds name their order', user: { login: 'octocat' }, draft: false },
    repository: { full_name: 'acme/storefront', private: true },
  };
  await sql(
    `INSERT INTO captured_requests (source, received_at, request_id, process, method, url, headers, body, body_bytes, status, outcome, reason, detail, topic, event_id)
     SELECT 'github', now() - (13 - n) * interval '37 s', 'req-' || n, 'web.1', 'POST', '/api/webhooks/github', $1, convert_to($2, 'UTF8'), length($2::text),
       CASE WHEN is_altered THEN 401 ELSE 200 END, CASE WHEN is_altered THEN 'rejected' WHEN is_repeat THEN 'duplicate' ELSE 'accepted' END,
       CASE WHEN is_altered THEN 'altered_body' END, CASE WHEN is_altered THEN 'the signature fits the body with its line breaks as CRLF' END,
       CASE WHEN NOT is_altered THEN (ARRAY['push', 'pull_request.opened', 'workflow_run.completed'])[1 + n % 3] END, CASE WHEN NOT is_altered THEN gen_random_uuid()::text END
     FROM generate_series(1, 12) n, LATERAL (SELECT n = 9 AS is_altered, n IN (4, 11) AS is_repeat) AS r ORDER BY n`,
    [JSON.stringify(headers), JSON.stringify(body)],
  );
}

async function storeOperations(sql: Sql): Promise<void> {
  await sql(
    `INSERT INTO postbell_processes (process_id, kind, host, version, seen_at) VALUES (gen_random_uuid(), 'worker', 'worker.1', '0.2.0', now() + interval '1 hour')`,
  );
  await sql(
    `INSERT INTO alerts (kind, source, topic, error_class, facts, began_at, raised_at, acknowledged_at, acknowledged_by) VALUES
     ('dead_letters', 'stripe', 'charge.refunded', 'TypeError', '{"count": 215}', now() - interval '2 h', now() - interval '2 h', NULL, NULL),
     ('dead_letters', 'paddle', 'subscription.updated', 'DatabaseError', '{"count": 8}', now() - interval '9 h', now() - interval '9 h', now() - interval '8 h', 'Grace')`,
  );
  await sql(
    `INSERT INTO pauses (source, topic, reason, paused_at, paused_by) VALUES ('slack', 'message.*', 'the bot gets a new token today', now() - interval '50 min', 'Grace')`,
  );
  await sql(
    `INSERT INTO operator_actions (operator, action, filter, reason, matched, done, began_at, ended_at) VALUES
     ('Grace', 'replay', '{"statuses": ["FAILED"], "source": "shopify", "topic": "orders/create"}', NULL, 1840, 1840, now() - interval '26 h', now() - interval '26 h'),
     ('Ada', 'ignore', jsonb_build_object('source', 'github', 'eventId', '72d3162e-cc78-11e3-81ab-4c9367dc0958'), 'the repository is archived', 1, 1, now() - interval '5 h', now() - interval '5 h'),
     ('Ada', 'run_now', jsonb_build_object('source', 'shopify', 'eventId', $1::text), NULL, 1, 1, now() - interval '70 min', now() - interval '70 min'),
     ('Linus', 'replay', '{"statuses": ["FAILED"], "source": "stripe", "topic": "charge.refunded"}', NULL, 12400, 8500, now() - interval '4 min', NULL)`,
    [shown.retrying.id],
  );
}
