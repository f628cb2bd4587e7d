// A sender that is described by variables alone.
import { createHmac } from 'node:crypto';
import t from 'tap';
import {
  type Provider,
  providers,
  readDrafts,
  signDelivery,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { fixedNow, makeSigned } from './deliveries.ts';

function configured(values: Record<string, string>): Provider {
  const made = providers.generic.configure?.(values);
  if (!made || !('provider' in made)) throw new Error(JSON.stringify(made));
  return made.provider;
}

t.test('every variable has its effect on what is signed', (t) => {
  const provider = configured({
    HEADER: 'X-Acme-Signature',
    ALGORITHM: 'hmac-sha512',
    ENCODING: 'base64url',
    PREFIX: 'v2=',
    KEY_FORMAT: 'hex',
    MESSAGE: '{header:X-Acme-Id}|{timestamp}|{method}|{url}|{query:shop}|{body}',
    TIMESTAMP_HEADER: 'X-Acme-Time',
    TIMESTAMP_UNIT: 'ms',
    TOLERANCE_SECONDS: '60',
    ID: 'header:X-Acme-Id',
    TOPIC: 'body:meta.type',
    OCCURRED_AT: 'body:meta.at',
    OCCURRED_AT_UNIT: 's',
  });
  const { source, request, delivery } = makeSigned(provider, { topic: 'thing.made', id: 'id-1' });
  const text = `id-1|${fixedNow.getTime()}|POST|${source.webhookUrl}|1|${request.body}`;
  const mac = createHmac('sha512', Buffer.from(source.secrets[0] ?? '', 'hex'))
    .update(text)
    .digest('base64url');
  t.match(request.headers, { 'x-acme-signature': `v2=${mac}`, 'x-acme-time': String(fixedNow.getTime()) });
  t.match(verifyDelivery(source, delivery), { ok: true });
  const late = { ...delivery, receivedAt: new Date(fixedNow.getTime() + 60_001) };
  t.match(verifyDelivery(source, late), { ok: false, reason: 'too_old' });
  t.match(readDrafts(source, delivery), [
    { eventId: 'id-1', topic: 'thing.made', occurredAt: fixedNow, uniqueBody: false },
  ]);
  t.end();
});

t.test('without further variables it is hex SHA-256 over the body', (t) => {
  const { source, request } = makeSigned(configured({ HEADER: 'x-sig' }));
  const mac = createHmac('sha256', source.secrets[0] ?? '')
    .update(request.body)
    .digest('hex');
  t.equal(request.headers['x-sig'], mac);
  t.end();
});

t.test('a timestamp header alone means timestamp, dot, body', (t) => {
  const provider = configured({ HEADER: 'x-sig', TIMESTAMP_HEADER: 'x-time' });
  const { source, request } = makeSigned(provider);
  const text = `${fixedNow.getTime() / 1000}.${request.body}`;
  t.equal(
    request.headers['x-sig'],
    createHmac('sha256', source.secrets[0] ?? '')
      .update(text)
      .digest('hex'),
  );
  t.end();
});

t.test('an id in a header that is not signed asks for the body to be unique', (t) => {
  const unsigned = makeSigned(configured({ HEADER: 'x-sig', ID: 'header:x-id' }));
  t.match(readDrafts(unsigned.source, unsigned.delivery), [{ uniqueBody: true }]);
  t.end();
});

t.test('what a body only inherits is no id', (t) => {
  const { source, delivery } = makeSigned(configured({ HEADER: 'x-sig', ID: 'body:__proto__.length' }), {
    body: '[]',
  });
  t.match(readDrafts(source, delivery), [{ eventId: /^sha256:/ }]);
  t.end();
});

t.test('wrong variables are named, all at once', (t) => {
  const made = providers.generic.configure?.({
    HEADER: 'x sig',
    ALGORITHM: 'md5',
    ENCODING: 'hexx',
    KEY_FORMAT: 'raw',
    MESSAGE: '{timestamp}.{body}',
    TOLERANCE_SECONDS: '5m',
    ID: 'cookie:id',
    TOPIC: 'body:',
    OCCURRED_AT_UNIT: 'days',
  });
  const names = made && 'problems' in made ? made.problems.map(({ name }) => name) : [];
  t.strictSame(names.toSorted(), [
    'ALGORITHM',
    'ENCODING',
    'HEADER',
    'ID',
    'KEY_FORMAT',
    'MESSAGE',
    'OCCURRED_AT_UNIT',
    'TOLERANCE_SECONDS',
    'TOPIC',
  ]);
  t.match(providers.generic.configure?.({}), { problems: [{ name: 'HEADER' }] });
  for (const message of ['{id}.{body}', '{timestamp}', 'x', '{header:}{body}', '{__proto__}{body}'])
    t.match(
      providers.generic.configure?.({ HEADER: 'x', MESSAGE: message }),
      { problems: [{ name: 'MESSAGE' }] },
      message,
    );
  t.end();
});

t.test('signing needs no more than the source', (t) => {
  const provider = configured({ HEADER: 'x-sig', TOPIC: 'header:x-topic' });
  const source = { name: 'acme', provider, secrets: ['acme-shared-secret-2026'] };
  const request = signDelivery(source, {
    topic: 'a.b',
    now: fixedNow,
    url: 'http://localhost:3000/api/webhooks/acme',
  });
  t.equal(request.headers['x-topic'], 'a.b');
  t.end();
});
