// Lark: encrypted bodies, and a set-up request that proves itself by its encryption instead of a signature.
import { createCipheriv, createHash } from 'node:crypto';
import t from 'tap';
import {
  answerHandshake,
  type Delivery,
  providers,
  readDrafts,
  type Verdict,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { fixedNow, makeSigned, makeSource, readFixture } from './deliveries.ts';

const { lark } = providers;
const encryptKey = 'lark-encrypt-key-0123456789';
const source = makeSource(lark, 'lark-newer-key-0123456789', encryptKey);

function encrypt(text: string, key = encryptKey): string {
  const iv = Buffer.alloc(16, 7);
  const cipher = createCipheriv('aes-256-cbc', createHash('sha256').update(key).digest(), iv);
  return Buffer.concat([iv, cipher.update(text), cipher.final()]).toString('base64');
}

function post(body: string): Delivery {
  return { method: 'POST', url: '/', headers: {}, body: Buffer.from(body), receivedAt: fixedNow };
}

const ask = (text: string, key?: string) =>
  answerHandshake(source, post(JSON.stringify({ encrypt: encrypt(text, key) })), 'unsigned');

t.test('the challenge comes back as JSON, under whichever key it was encrypted', (t) => {
  const text = '{"challenge":"ajls384kdjx98XX","token":"x","type":"url_verification"}';
  const answer = { status: 200, contentType: /^application\/json/, body: '{"challenge":"ajls384kdjx98XX"}' };
  t.match(ask(text), answer);
  t.match(ask(text, 'lark-newer-key-0123456789'), answer);
  t.end();
});

t.test('it is no open echo', (t) => {
  const text = '{"challenge":"abc","type":"url_verification"}';
  t.equal(answerHandshake(source, post(text), 'unsigned'), undefined, 'not encrypted');
  t.equal(ask(text, 'a-key-of-somebody-else'), undefined, 'encrypted with another key');
  t.equal(ask('{"challenge":"<b>","type":"url_verification"}'), undefined, 'HTML');
  t.equal(ask('{"challenge":"abc","type":"event_callback"}'), undefined, 'an event');
  t.equal(ask('not JSON'), undefined);
  for (const encrypted of ['', 'AAAA', '%%%', encrypt(text).slice(0, -4), 7, null])
    t.equal(answerHandshake(source, post(JSON.stringify({ encrypt: encrypted })), 'unsigned'), undefined);
  t.end();
});

t.test('what is sent is encrypted as Lark does it, and an encrypted body is left as it is', (t) => {
  const { delivery } = makeSigned(lark);
  t.match(delivery.body.toString(), /^\{"encrypt":"[A-Za-z0-9+/=]+"\}$/);
  const { delivery: fixture } = readFixture('lark');
  t.ok(makeSigned(lark, { body: fixture.body }).delivery.body.equals(fixture.body));
  t.end();
});

t.test('a signed body that cannot be decrypted is stored as it came, with the reason', (t) => {
  const { source: own, delivery } = makeSigned(lark, { body: '{"encrypt":"AAAA"}' });
  t.match(verifyDelivery(own, delivery) as Verdict, { ok: true });
  const [event] = readDrafts(own, delivery);
  t.match(event, { topic: 'unknown', payloadText: null, payloadError: 'malformed' });
  t.ok(event?.rawBody?.equals(delivery.body));
  t.end();
});

t.test('the older form of an event has its id in uuid', (t) => {
  const body =
    '{"uuid":"bc447199585340d1f3728d26b1c0297a","type":"event_callback","event":{"type":"app_ticket"}}';
  const { source: own, delivery } = makeSigned(lark, { body });
  t.match(readDrafts(own, delivery), [{ eventId: 'bc447199585340d1f3728d26b1c0297a', topic: 'app_ticket' }]);
  t.end();
});
