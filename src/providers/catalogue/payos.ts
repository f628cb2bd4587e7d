// payOS: hex HMAC over the fields of `data`, sorted, as `key=value&…`; the signature stands beside them in the body.
import { decodeBody, valueAt } from '../body.ts';
import { emptyAnswer, smallJsonBody } from '../handshake.ts';
import { type Computed, computed, json, type Reading } from '../parts.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft } from '../provider.ts';
import { missing } from '../reading.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { randomId, randomNumber } from './sample.ts';

export const payos: Provider = {
  name: 'payos',
  title: 'payOS',
  docsUrl: 'https://payos.vn/docs/du-lieu-tra-ve/webhook/',
  facts:
    'Signature and fields L: npm @payos/node, webhooks.verify. Only data is signed: code, desc and success beside it are not, so go by data.code. The test payment T: several receivers, payOS’ own example among them. Retries unknown.',
  scheme: hmac({
    message: computed(signedData),
    signature: { at: json('signature'), encoding: 'hex' },
  }),
  secret: textSecret({ label: 'Checksum key', where: 'my.payos.vn → your payment channel → Checksum Key' }),
  idIsSigned: true,
  events: {
    // The bank's reference of one transfer; an order may be paid in several.
    id: [json('data.orderCode'), ':', json('data.reference')],
    // No type is sent; what came of it is in data.code, `00` where it was paid.
    topic: 'payment',
  },
  handshakes: [{ method: 'POST', phase: 'verified', answer: answerTestPayment }],
  retries: 'Wants a 2xx; whether it tries again is unknown.',
  sending: { newId: () => randomId('FT').toUpperCase() },
  answers: 'unknown',
  samples: { payment: (draft) => payment(draft) },
};

/** The payment that payOS makes up to try out an endpoint, properly signed: nobody has paid it. */
function answerTestPayment(delivery: Delivery): HandshakeAnswer | undefined {
  const data = valueAt(smallJsonBody(delivery, '"orderCode"'), ['data']);
  const isTest =
    valueAt(data, ['orderCode']) === 123 &&
    ['VQRIO123', 'Ma giao dich thu nghiem'].includes(String(valueAt(data, ['description'])));
  return isTest ? emptyAnswer() : undefined;
}

/** Values as JavaScript writes them. A nested one would not be covered, so it is refused. */
function signedData(reading: Reading): Computed {
  reading.decoded ??= decodeBody(reading.delivery, reading.source);
  const data = valueAt(reading.decoded.value, ['data']);
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return missing('data in the body');
  const fields: string[] = [];
  for (const [key, value] of Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (typeof value === 'object' && value !== null)
      return { ok: false, reason: 'malformed_signature', detail: `data.${key} is not a plain value` };
    fields.push(`${key}=${value === null || value === 'null' || value === 'undefined' ? '' : value}`);
  }
  return fields.join('&');
}

function payment({ id, now }: SampleDraft): object {
  return {
    code: '00',
    desc: 'success',
    success: true,
    data: {
      orderCode: randomNumber(9),
      amount: 3000,
      description: 'Ring',
      accountNumber: '12345678',
      reference: id,
      transactionDateTime: now.toISOString().slice(0, 19).replace('T', ' '),
      currency: 'VND',
      paymentLinkId: randomId(),
      code: '00',
      desc: 'Thành công',
      counterAccountBankId: null,
      counterAccountName: null,
      virtualAccountNumber: '',
    },
    signature: '',
  };
}
