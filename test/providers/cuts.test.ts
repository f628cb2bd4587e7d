// Texts that are signed run together, cut at another place: what takes a right signature along must not be read anew.
import { createHmac } from 'node:crypto';
import { crc32 } from 'node:zlib';
import t from 'tap';
import { type Delivery, providers, readDrafts, verifyDelivery } from '../../src/providers/index.ts';
import { makeSigned, withHeaders } from './deliveries.ts';

const isAccepted = async ({ source, delivery }: ReturnType<typeof makeSigned>, altered: Delivery) =>
  (await verifyDelivery(source, delivery)).ok && (await verifyDelivery(source, altered)).ok;
const withBody = (delivery: Delivery, body: object | string): Delivery => ({
  ...delivery,
  body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
});

t.test('payOS: a payer cannot write another order into a transfer', async (t) => {
  const { source, delivery, key } = makeSigned(providers.payos);
  const verify = (description: string) => {
    const fields = { description, orderCode: 1, reference: 'FT1' };
    const text = `description=${description}&orderCode=1&reference=FT1`;
    const signature = createHmac('sha256', key.secret).update(text).digest('hex');
    return verifyDelivery(source, withBody(delivery, { data: fields, signature }));
  };
  t.match(await verify('Ring&orderCode=2&reference=FT2'), { reason: 'malformed_signature' });
  t.match(await verify('Ring & reference, a&b=c'), { ok: true }, 'marks that name no field are text');
});

t.test('SNS: a message of several lines is no subject and no id', async (t) => {
  const body = { Type: 'Notification', MessageId: 'id-1', Message: 'A\nMessageId\nid-2\nSubject\nB' };
  const signed = makeSigned(providers['aws-sns'], { body: JSON.stringify(body) });
  const fields = JSON.parse(signed.delivery.body.toString());
  t.ok(await isAccepted(signed, signed.delivery));
  const cut = { ...fields, Message: 'A', MessageId: 'id-2', Subject: 'B\nMessageId\nid-1' };
  t.notOk(await isAccepted(signed, withBody(signed.delivery, cut)));
});

t.test('Standard Webhooks: a time in the body is not the end of the id', async (t) => {
  const now = '1795428000';
  const signed = makeSigned(providers['standard-webhooks'], { body: `{"text":"x.${now}.y"}`, id: 'msg_1' });
  const cut = withHeaders(signed.delivery, { 'webhook-id': [`msg_1.${now}.{"text":"x`] });
  t.ok(await isAccepted(signed, signed.delivery));
  t.notOk(await isAccepted(signed, withBody(cut, 'y"}')));
});

t.test('Mandrill: only its one field counts', async (t) => {
  const signed = makeSigned(providers.mandrill);
  const text = signed.delivery.body.toString();
  t.notOk(
    await isAccepted(signed, withBody(signed.delivery, text.replace('mandrill_events=', 'mandrill=_events'))),
  );
  t.notOk(await isAccepted(signed, withBody(signed.delivery, `${text}&x`)));
});

t.test(
  'PayPal: another body to the same CRC32 is stored as a suspected replay, never as another event',
  async (t) => {
    const signed = makeSigned(providers.paypal);
    const forged = withBody(
      signed.delivery,
      withCrc('{"id":"WH-FORGED","event_type":"PAYMENT.CAPTURE.COMPLETED"', crc32(signed.delivery.body)),
    );
    t.ok(await isAccepted(signed, forged), 'PayPal signs no more than the CRC32');
    const [known, event] = [signed.delivery, forged].map(
      (delivery) => readDrafts(signed.source, delivery)[0],
    );
    t.match(event, { eventId: 'WH-FORGED', topic: known?.topic, uniqueBody: true });
    t.same(event?.bodySha256, known?.bodySha256);
  },
);

/** The JSON text with 64 letters more, each `a` or `b`: a CRC is linear, so 32 equations say which. */
function withCrc(start: string, wanted: number): string {
  const text = (letters: readonly boolean[]) =>
    `${start},"x":"${letters.map((b) => (b ? 'b' : 'a')).join('')}"}`;
  const none = Array<boolean>(64).fill(false);
  const base = crc32(text(none));
  const rows = none.map((_, at) => ({
    effect: (crc32(text(none.with(at, true))) ^ base) >>> 0,
    letters: none.with(at, true),
  }));
  let missing = (base ^ wanted) >>> 0;
  let chosen = none;
  const joined = (one: readonly boolean[], other: readonly boolean[]) =>
    one.map((value, at) => value !== other[at]);
  for (let bit = 31; bit >= 0; bit--) {
    const index = rows.findIndex(({ effect }) => effect >>> bit === 1);
    const pivot = rows.splice(index, 1)[0];
    if (index < 0 || !pivot) continue;
    for (const row of rows)
      if (row.effect >>> bit === 1) {
        row.effect = (row.effect ^ pivot.effect) >>> 0;
        row.letters = joined(row.letters, pivot.letters);
      }
    if (missing >>> bit === 1) {
      missing = (missing ^ pivot.effect) >>> 0;
      chosen = joined(chosen, pivot.letters);
    }
  }
  return text(chosen);
}
