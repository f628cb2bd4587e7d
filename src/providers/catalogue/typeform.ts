// Typeform: `sha256=` and a base64 HMAC over the body; event id and type in it.
import { header, json, rawBody } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { randomId } from './sample.ts';

export const typeform: Provider = {
  name: 'typeform',
  title: 'Typeform',
  docsUrl: 'https://www.typeform.com/developers/webhooks/secure-your-webhooks/',
  facts:
    'Signature and event_id T: n8n, Hookdeck and Trigger.dev, which agree. Body T: Actionsflow. Deadline and retries M.',
  scheme: hmac({
    message: rawBody,
    signature: { at: header('typeform-signature'), encoding: 'base64', prefix: 'sha256=' },
  }),
  secret: textSecret({
    label: 'Secret',
    where: 'Chosen by you: your form → Connect → Webhooks → Edit → Secret',
  }),
  idIsSigned: true,
  events: {
    id: json('event_id'),
    topic: json('event_type'),
    occurredAt: { at: json('form_response.submitted_at'), unit: 'iso' },
  },
  retries: 'Wants a 2xx within 30 s; tries again with growing gaps.',
  sending: { newId: () => randomId('01').toUpperCase() },
  answers: {
    failure: {
      404: 'switches-off',
      410: 'switches-off',
      408: 'retried',
      423: 'retried',
      429: 'retried',
      503: 'retried',
    },
  },
  samples: {
    form_response: (draft) =>
      response(draft, [{ type: 'text', text: 'Ring', field: { id: 'M8JLOd0nIQPU', type: 'short_text' } }]),
    form_response_partial: (draft) => response(draft, []),
    '*': (draft) => response(draft, []),
  },
};

function response({ topic, id, now }: SampleDraft, answers: readonly object[]): object {
  return {
    event_id: id,
    event_type: topic,
    form_response: {
      form_id: 'g8hcyeXS',
      token: randomId(),
      landed_at: now.toISOString(),
      submitted_at: now.toISOString(),
      definition: {
        id: 'g8hcyeXS',
        title: 'Bells',
        fields: [{ id: 'M8JLOd0nIQPU', title: 'What shall ring?', type: 'short_text' }],
      },
      answers,
    },
  };
}
