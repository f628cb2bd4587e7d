// payOS: hex HMAC over the fields of `data`, sorted, as `key=value&…`; the signature is beside `data` in the body.
import { decodeBody, valueAt } from '../body/body.ts';
import { emptyAnswer, smallJsonBody } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { type Computed, computed, json, type Reading } from '../template/parts.ts';
import { missing } from '../template/reading.ts';
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
  body: { signedText: computed(signedData) },
  events: {
    // The bank's reference of one transfer; an order may be paid in several.
    id: [json('data.orderCode'), ':', json('data.reference')],
    // payOS sends no type; data.code holds the result, `00` for a paid order.
    topic: 'payment',
  },
  handshakes: [{ method: 'POST', phase: 'verified', answer: answerTestPayment }],
  retries: 'Wants a 2xx; retries unknown.',
  sending: { newId: () => randomId('FT').toUpperCase() },
  answers: 'unknown',
  samples: { payment: (draft) => payment(draft) },
};

/** The invented payment by which payOS tests an endpoint: validly signed, but nobody has paid it. */
function answerTestPayment(delivery: Delivery): HandshakeAnswer | undefined {
  const data = valueAt(smallJsonBody(delivery, '"orderCode"'), ['data']);
  const isTest =
    valueAt(data, ['orderCode']) === 123 &&
    ['VQRIO123', 'Ma giao dich thu nghiem'].includes(String(valueAt(data, ['description'])));
  return isTest ? emptyAnswer() : undefined;
}

/** The fields of the library's type. The signed text has no escapes, so `&reference=` in a value could look like a field. */
const signedFields = [
  'orderCode',
  'amount',
  'description',
  'accountNumber',
  'reference',
  'transactionDateTime',
  'currency',
  'paymentLinkId',
  'code',
  'desc',
  'counterAccountBankId',
  'counterAccountBankName',
  'counterAccountName',
  'counterAccountNumber',
  'virtualAccountName',
  'virtualAccountNumber',
];

/** Values as JavaScript writes them. Rejects ambiguous values, including nested ones. */
function signedData(reading: Reading): Computed {
  reading.decoded ??= decodeBody(reading.delivery, reading.source);
  const data = valueAt(reading.decoded.value, ['data']);
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return missing('data in the body');
  const names = new Set([...signedFields, ...Object.keys(data)]);
  const fields: string[] = [];
  for (const [key, value] of Object.entries(data).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const text = value === null || value === 'null' || value === 'undefined' ? '' : String(value);
    const isPlain =
      (typeof value !== 'object' || value === null) &&
      (typeof value !== 'number' || Math.abs(value) <= Number.MAX_SAFE_INTEGER);
    if (!isPlain || !/^\w+$/.test(key) || holdsField(text, names))
      return {
        ok: false,
        reason: 'malformed_signature',
        detail: 'data holds a field that payOS never sends',
      };
    fields.push(`${key}=${text}`);
  }
  return fields.join('&');
}

function holdsField(text: string, names: ReadonlySet<string>): boolean {
  for (const [, name = ''] of text.matchAll(/&(\w+)=/g)) if (names.has(name)) return true;
  return false;
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
