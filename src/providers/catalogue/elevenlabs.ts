// ElevenLabs: `t=…,v0=…` over `t.body`, accepted for half an hour; no id is sent.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, item, json, rawBody, timestamp } from '../template/parts.ts';
import { randomId, unixSeconds } from './sample.ts';

export const elevenlabs: Provider = {
  name: 'elevenlabs',
  title: 'ElevenLabs',
  docsUrl: 'https://elevenlabs.io/docs/eleven-api/resources/webhooks',
  facts:
    'Signature and the half hour L: npm @elevenlabs/elevenlabs-js, webhooks.constructEvent. Types, retries and switching off D: elevenlabs.io/docs, webhooks. Body T: Hookdeck and public listeners, which agree on seconds.',
  scheme: hmac({
    message: [timestamp, '.', rawBody],
    signature: { at: header('elevenlabs-signature'), encoding: 'hex', separator: ',', prefix: 'v0=' },
    timestamp: { at: item('t'), unit: 's', pastSeconds: 1800 },
  }),
  secret: textSecret({
    label: 'Webhook secret',
    where: 'elevenlabs.io → Settings → Webhooks → your webhook (shown once)',
  }),
  idIsSigned: true,
  events: { topic: json('type'), occurredAt: { at: json('event_timestamp'), unit: 's' } },
  retries:
    'Wants 200; retries only where switched on for the webhook. Ten failures in a row and a week without success switch it off. post_call_audio holds a whole recording and may exceed the body limit.',
  answers: { success: [200], failure: { '5xx': 'if-asked' } },
  samples: {
    post_call_transcription: (draft) =>
      event(draft, { status: 'done', transcript: [{ role: 'user', message: 'Ring the bell' }] }),
    voice_removal_notice: (draft) => event(draft, { voice_id: randomId() }),
    '*': (draft) => event(draft, {}),
  },
};

function event({ topic, now }: SampleDraft, data: object): object {
  return {
    type: topic,
    event_timestamp: unixSeconds(now),
    data: { agent_id: randomId('agent_'), conversation_id: randomId('conv_'), ...data },
  };
}
