// What is stored of a delivery lets nobody send another one: no secret, and no proof that is good for more than its event.
import t from 'tap';
import { formFields } from '../../src/providers/body/body.ts';
import { asDelivery, keptHeaders, type Provider, providers, readDrafts } from '../../src/providers/index.ts';
import type { Delivery, Source } from '../../src/providers/provider.ts';
import { makeSigned, makeSource, readFixture, secretOf } from './deliveries.ts';

/** Their signature lies in the body and covers what the id is made of: with it, nobody can send another event. */
const signTheirOwnEvent: ReadonlySet<string> = new Set([
  'adyen',
  'apple-app-store',
  'aws-sns',
  'braintree',
  'kinde',
  'payos',
]);

for (const provider of Object.values<Provider>(providers))
  t.test(provider.name, (t) => {
    for (const key of Object.keys(provider.samples)) {
      const topic = key === '*' ? 'bell.rung' : key;
      const { source, delivery, key: made } = makeSigned(provider, { topic });
      const text = storedOf(source, delivery);
      // Where a pair signs, the secret is the public half.
      if (!made.privateKey)
        for (const secret of secretsIn(made.secret)) t.notOk(text.includes(secret), `${topic}: the secret`);
      for (const proof of proofsIn(provider, topic, delivery))
        t.notOk(text.includes(proof), `${topic}: ${proof.slice(0, 20)}`);
    }
    const { fixture, delivery } = readFixture(provider.name);
    const text = storedOf(makeSource(provider, fixture.secret), delivery);
    for (const name of provider.scheme.proofHeaders)
      for (const value of delivery.headers[name] ?? [])
        t.notOk(text.includes(value), `the fixture's ${name}`);
    t.end();
  });

t.test('credentials are taken out of JSON, forms and batches, and of the bytes that are kept', (t) => {
  const read = (provider: Provider, body: string) => {
    const { source, delivery } = makeSigned(provider, { body });
    return readDrafts(source, delivery, true).map(({ payloadText, rawBody }) => [
      payloadText,
      String(rawBody),
    ]);
  };
  const slack = providers.slack;
  t.same(read(slack, '{"token":"t0k","event_id":"Ev1","n":1.0}'), [
    Array(2).fill('{"event_id":"Ev1","n":1.0}'),
  ]);
  t.same(read(slack, 'token=t0k&command=%2Fbell'), [Array(2).fill('{"command":"/bell"}')]);
  t.same(read(slack, 'payload=%7B%22token%22%3A%22t0k%22%7D'), [['{}', '{}']]);
  t.same(read(slack, '{"token":"t0k","a":"\\ud800"}'), [[null, '{"a":"\\ud800"}']], 'which jsonb refuses');
  t.same(
    read(slack, '{"event_id": "Ev1"}'),
    [Array(2).fill('{"event_id": "Ev1"}')],
    'else nothing is written anew',
  );
  const graph = providers['microsoft-graph'];
  t.same(
    read(graph, '{"value":[{"id":"a"},{"id":"b"}]}'),
    ['a', 'b'].map((id) => Array(2).fill(`{"id":"${id}"}`)),
  );
  const many = JSON.stringify({ value: Array(5_001).fill({ id: 'a' }) });
  t.same(read(graph, many), [[null, many]], 'of a batch that is too long, too');
  t.end();
});

function storedOf(source: Source, delivery: Delivery): string {
  const events = readDrafts(source, delivery, true).map(({ eventId, topic, payloadText, rawBody }) => [
    eventId,
    topic,
    payloadText,
    rawBody?.toString('utf8'),
    rawBody && formFields({ ...delivery, body: rawBody }),
  ]);
  return JSON.stringify([events, keptHeaders(source, delivery)]).replaceAll('\\"', '"');
}

/** The secret, without its prefix, and the later half of a pair. */
function secretsIn(secret: string): string[] {
  return [secret, secret.replace(/^[a-z]+_/, ''), secret.slice(secret.indexOf(':') + 1)];
}

/** Headers and parameters that prove, and what in the body becomes another text under another secret. */
function proofsIn(provider: Provider, topic: string, delivery: Delivery): string[] {
  const params = new URLSearchParams(delivery.url.split('?', 2)[1]);
  const places = [
    ...provider.scheme.proofHeaders.flatMap((name) => delivery.headers[name] ?? []),
    ...provider.scheme.proofParams.flatMap((name) => params.getAll(name)),
  ];
  if (signTheirOwnEvent.has(provider.name)) return places;
  const other = makeSigned(provider, { topic, body: delivery.body, key: secretOf(provider, 1) });
  const others = new Set(textsIn(asDelivery(other.request, delivery.receivedAt)));
  return [...places, ...textsIn(delivery).filter((text) => text.length > 8 && !others.has(text))];
}

function textsIn({ body }: Delivery): string[] {
  return body.toString('utf8').split(/["\r\n&=]+/);
}
