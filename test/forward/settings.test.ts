// Forwards by environment alone.
import { randomBytes } from 'node:crypto';
import t from 'tap';
import type { Environment } from '../../src/config.ts';
import { ConfigError } from '../../src/errors.ts';
import { loadForwards } from '../../src/forward/settings.ts';
import { handlersFor } from '../../src/handlers/handler.ts';
import { runNext } from '../support/attempt.ts';
import { createCli } from '../support/cli.ts';
import { newEvent, openInbox, storeEvents } from '../support/inbox.ts';
import { startApp } from './app.ts';

const newSecret = () => `whsec_${randomBytes(32).toString('base64')}`;
const FORWARD_SECRET = newSecret();
const names = ['stripe', 'stripe-eu', 'github'];
const problemsOf = (env: Environment) => {
  try {
    loadForwards(env, names);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
};

t.test('without a variable nothing is forwarded; a secret alone is no forward', async (t) => {
  t.same(loadForwards({ FORWARD_SECRET, FORWARD_URL: '', STRIPE_FORWARD_SECRET: newSecret() }, names), []);
});

t.test('FORWARD_URL gets every source, and a source may have its own address', async (t) => {
  const inbox = await openInbox(t);
  const [app, ofStripe] = [await startApp(t), await startApp(t)];
  const env = { FORWARD_SECRET, FORWARD_URL: app.url, STRIPE_FORWARD_URL: ofStripe.url };
  const forwards = loadForwards(env, names);
  t.equal(forwards.length, 1, 'no event is forwarded twice');
  for (const [source, provider] of [
    ['stripe', 'stripe'],
    ['stripe-eu', 'stripe'],
    ['late', 'github'],
  ] as const) {
    await storeEvents(inbox, [newEvent({ source, provider })]);
    t.match(await runNext(inbox, forwards), { kind: 'processed' });
  }
  t.same(
    ofStripe.received.map(({ headers }) => headers['postbell-source']),
    ['stripe'],
  );
  t.same(
    app.received.map(({ headers }) => headers['postbell-source']),
    ['stripe-eu', 'late'],
  );
});

t.test('<SOURCE>_FORWARD_URL alone leaves the other sources to the handlers', async (t) => {
  const env = { STRIPE_EU_FORWARD_URL: 'http://localhost:1/', STRIPE_EU_FORWARD_SECRET: newSecret() };
  const forwards = loadForwards(env, names);
  const event = { provider: 'stripe', topic: 'any' };
  t.equal(handlersFor(forwards, { ...event, source: 'stripe-eu' }).length, 1);
  t.equal(handlersFor(forwards, { ...event, source: 'stripe' }).length, 0);
});

t.test('every problem is named at once, never a value', async (t) => {
  const url = 'http://localhost:1/';
  t.match(problemsOf({ FORWARD_URL: 'localhost:8000' }), [
    /^FORWARD_URL must be an absolute address/,
    /^FORWARD_SECRET is missing; postbell keys standard-webhooks makes one$/,
  ]);
  t.match(problemsOf({ STRIPE_FORWARD_URL: url }), [/^FORWARD_SECRET is missing/]);
  t.match(problemsOf({ STRIPE_FORWARD_URL: url, STRIPE_FORWARD_SECRET: 'planted-secret' }), [
    /^STRIPE_FORWARD_SECRET is not whsec_/,
  ]);
  t.match(problemsOf({ STRPE_FORWARD_URL: url }), [/^STRPE_FORWARD_URL belongs to no source/]);
  t.notMatch(JSON.stringify(problemsOf({ FORWARD_URL: url, FORWARD_SECRET: 'planted-secret' })), /planted/);
});

t.test('doctor checks them, and needs no handlers then', async (t) => {
  const cli = createCli(t);
  const diagnose = async (env: Record<string, string>) => {
    const { documents } = await cli.inside(['doctor', '--json'], { env });
    const [{ checks } = {}] = documents() as { checks?: Record<string, string>[] }[];
    return checks?.filter(({ check = '' }) => ['forwards', 'handlers'].includes(check));
  };
  const FORWARD_URL = 'http://127.0.0.1:8000/secret-path';
  t.same(await diagnose({ FORWARD_URL, FORWARD_SECRET }), [
    { check: 'forwards', status: 'ok', message: 'every other source to http://127.0.0.1:8000…' },
  ]);
  t.match(await diagnose({ FORWARD_URL }), [
    { check: 'forwards', status: 'fail', message: /^FORWARD_SECRET is missing/ },
    { check: 'handlers', status: 'fail' },
  ]);
});
