// The answers that our server really gives, held against what each provider makes of them.
import t, { type Test } from 'tap';
import {
  answerFactsOf,
  effectOf,
  type Provider,
  providers,
  type Source,
  signDelivery,
} from '../../src/providers/index.ts';
import { UnavailableError } from '../../src/receive.ts';
import { secretOf } from '../providers/deliveries.ts';
import { openRouteTo } from '../support/route.ts';

interface Given {
  accepted: number[];
  rejected: number;
  unavailable: number;
  /** To the name of a source without a secret. */
  noSecret: number;
}

const all = Object.values<Provider>(providers);

/** The route with sources of these providers, and a second one where none of them has a secret. */
function openRoutes(t: Test, ...chosen: Provider[]) {
  let isAvailable = true;
  const receiver = {
    submit: async () => {
      if (!isAvailable) throw new UnavailableError('as the test wants it');
      return { duplicate: false };
    },
    waiting: () => 0,
    close: async () => {},
  };
  const sourceOf = (provider: Provider, nth = 0): Source => ({
    name: provider.name,
    provider,
    secrets: [secretOf(provider, nth).secret],
    webhookUrl: `https://shop.example.com/api/webhooks/${provider.name}`,
  });
  const route = openRouteTo(t, receiver, ...chosen.map((provider) => sourceOf(provider)));
  const sourceless = openRouteTo(t, receiver);

  /** @param nth another secret than the source's makes a forgery */
  const deliver = async (provider: Provider, wish: { topic: string; body?: string }, nth = 0, to = route) => {
    const { privateKey } = secretOf(provider, nth);
    const { url, method, headers, body } = signDelivery(sourceOf(provider, nth), {
      ...wish,
      now: new Date(),
      url: `https://shop.example.com/api/webhooks/${provider.name}`,
      ...(privateKey === undefined ? {} : { privateKey }),
    });
    const { pathname, search } = new URL(url);
    return to.ask(pathname + search, { method, headers, body: new Uint8Array(body) });
  };

  const given = async (provider: Provider): Promise<Given> => {
    const topics = Object.keys(provider.samples).map((key) => (key === '*' ? 'bell.rung' : key));
    const accepted = [];
    for (const topic of topics) accepted.push((await deliver(provider, { topic })).status);
    const topic = topics.at(-1) ?? '';
    const rejected = (await deliver(provider, { topic }, 1)).status;
    isAvailable = false;
    const { status: unavailable, headers } = await deliver(provider, { topic });
    isAvailable = true;
    t.equal(headers.get('retry-after'), '5', `${provider.name} is told when to try again`);
    const noSecret = (await deliver(provider, { topic }, 0, sourceless)).status;
    return { accepted, rejected, unavailable, noSecret };
  };
  return { deliver, given };
}

/** What the provider's facts have against the answers. */
function objections(provider: Provider, { accepted, rejected, unavailable, noSecret }: Given): string[] {
  const found: string[] = [];
  const effects = Object.values(answerFactsOf(provider).failure ?? {});
  const retriesNothing = effects.length > 0 && effects.every((effect) => effect === 'final');
  for (const status of accepted)
    if (effectOf(provider, status) !== 'accepted') found.push(`${status} is no success`);
  if (effectOf(provider, rejected) === 'switches-off')
    found.push(`${rejected} to a forgery ends the webhook`);
  for (const [what, status] of Object.entries({ unavailable, noSecret })) {
    const effect = effectOf(provider, status);
    if (effect === 'accepted' || effect === 'switches-off') found.push(`${what}: ${status} is ${effect}`);
    if (effect === 'final' && !retriesNothing) found.push(`${what}: ${status} is final, others are not`);
    if (status !== 503 && status !== 429) found.push(`${what}: ${status}`);
  }
  for (const status of [rejected, unavailable, noSecret])
    if (status < 400 || status === 404 || status === 410) found.push(`${status} may end the webhook`);
  return found;
}

t.test('every answer is of a kind that the facts of its provider allow', async (t) => {
  const { given } = openRoutes(t, ...all);
  for (const provider of all) t.same(objections(provider, await given(provider)), [], provider.name);
});

t.test('a provider that retries nothing but 429 gets 429', async (t) => {
  const answers = { failure: { '4xx': 'final', '5xx': 'final', 429: 'retried' } } as const;
  const { github: model } = providers;
  const wrong: Provider = { ...model, answers };
  t.same(objections(wrong, await openRoutes(t, wrong).given(wrong)), [
    'unavailable: 503 is final, others are not',
    'noSecret: 503 is final, others are not',
  ]);
  const right: Provider = { ...wrong, unavailableStatus: 429 };
  const given = await openRoutes(t, right).given(right);
  // The route without secrets asks the registry, which has GitHub as it is.
  t.match(given, { accepted: [200], rejected: 401, unavailable: 429, noSecret: 503 });
  t.same(objections(right, { ...given, noSecret: 429 }), []);
});

t.test('a wrong answer would be found', async (t) => {
  const fine = { accepted: [200], rejected: 401, unavailable: 503, noSecret: 503 };
  const of = (answers: Provider['answers'], given: Partial<Given> = {}) =>
    objections({ ...providers.stripe, ...(answers ? { answers } : {}) }, { ...fine, ...given });
  t.same(of({ success: [202] }), ['200 is no success']);
  t.same(of({ failure: { 404: 'switches-off' } }, { noSecret: 404 }).length, 3);
  t.same(of({ failure: { 401: 'switches-off' } }), ['401 to a forgery ends the webhook']);
  t.same(of({ failure: { any: 'final' } }), [], 'where nothing is retried, no status is better');
  t.same(of({ failure: { any: 'final', 429: 'retried' } }).length, 2);
});

t.test('Slack wants nothing but 200, else a modal tells its user of a failure', async (t) => {
  const { slack } = providers;
  const { deliver } = openRoutes(t, slack);
  for (const topic of ['app_mention', '/bell', 'block_actions']) {
    const answer = await deliver(slack, { topic });
    t.equal(answer.status, 200, topic);
    t.equal(await answer.text(), '', topic);
  }
});

t.test('telephony wants an empty document of instructions', async (t) => {
  const { twilio, plivo, vonage } = providers;
  const { deliver } = openRoutes(t, twilio, plivo, vonage);
  for (const provider of [twilio, plivo])
    for (const topic of Object.keys(provider.samples).filter((key) => key !== '*')) {
      const answer = await deliver(provider, { topic });
      t.equal(answer.status, 200);
      t.match(answer.headers.get('content-type'), /^(text|application)\/xml/, `${provider.name} ${topic}`);
      t.match(await answer.text(), /^(<\?xml[^>]*>)?<Response ?\/>$/, `${provider.name} ${topic}`);
    }
  const answer = await deliver(vonage, { topic: 'text' });
  t.match(answer.headers.get('content-type'), /^application\/json/);
  t.same(await answer.json(), [], 'an NCCO without actions');
});

t.test('Discord wants 204 for an event, and an interaction answered in its own words', async (t) => {
  const { discord } = providers;
  const { deliver } = openRoutes(t, discord);
  const event = await deliver(discord, { topic: 'APPLICATION_AUTHORIZED' });
  t.equal(event.status, 204);
  t.equal(await event.text(), '');
  const interactions = [
    [2, { type: 5 }],
    [3, { type: 6 }],
    [4, { type: 8, data: { choices: [] } }],
    [5, { type: 5 }],
  ] as const;
  for (const [type, expected] of interactions) {
    const body = JSON.stringify({
      id: `77182500601488${type}`,
      application_id: '1',
      type,
      token: 'x',
      version: 1,
    });
    const answer = await deliver(discord, { topic: `interaction.${type}`, body });
    t.equal(answer.status, 200, `type ${type}`);
    t.same(await answer.json(), expected, `type ${type}`);
  }
});
