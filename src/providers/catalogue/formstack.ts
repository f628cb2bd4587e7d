// Formstack: `sha256=` hex HMAC over a submission, sent as a form or as JSON.

import type { Provider } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomNumber } from './sample.ts';

export const formstack: Provider = {
  name: 'formstack',
  title: 'Formstack Forms',
  docsUrl: 'https://developers.formstack.com/docs/webhook-setup',
  facts:
    'Signature T: n8n and Hookdeck. Form or JSON by choice D: developers.formstack.com, webhook setup. FormID and UniqueID (of the submission) T: a public listener (esp.formstack). Retries unknown.',
  scheme: hmac({
    message: rawBody,
    signature: { at: header('x-fs-signature'), encoding: 'hex', prefix: 'sha256=' },
  }),
  secret: textSecret({
    label: 'HMAC key',
    format: 'text, your own choice',
    where: 'Your form → Settings → Emails & Actions → WebHook → HMAC key',
  }),
  idIsSigned: true,
  // Older webhooks send this shared secret in place of a signature.
  body: { form: 'flat', credentials: ['HandshakeKey'] },
  // Formstack sends only one kind of event, and the body does not name it.
  events: { id: [json('FormID'), ':', json('UniqueID')], topic: 'submission' },
  retries: 'Wants a 2xx; schedule unknown.',
  answers: 'unknown',
  samples: {
    submission: () =>
      new URLSearchParams({
        FormID: '1234567',
        UniqueID: String(randomNumber(9)),
        Name: 'Ada Lovelace',
        Email: 'ada@example.com',
        Message: 'Ring the bell: ä & ö',
      }),
  },
};
