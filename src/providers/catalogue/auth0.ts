// Auth0 log streams: a static value in Authorization; log entries as one object, an array, or one on each line.
import { isUtf8 } from 'node:buffer';
import type { Delivery, Provider, SampleDraft } from '../provider.ts';
import { credential } from '../schemes/credential.ts';
import { credentialSecret } from '../secrets.ts';
import { header, json } from '../template/parts.ts';
import { randomNumber } from './sample.ts';

export const auth0: Provider = {
  name: 'auth0',
  title: 'Auth0 log streams',
  docsUrl: 'https://auth0.com/docs/customize/log-streams/custom-log-streams',
  facts:
    'Log streams alone; Event Streams have another shape. Authorization, the three content formats and retries D: auth0.com, custom log streams and log streams. log_id, data.type and data.date T: RudderStack, Hookdeck and others that agree.',
  scheme: credential({ at: header('authorization'), name: 'static secret' }),
  secret: credentialSecret({
    label: 'Authorization token',
    format: 'your own choice of at least 16 letters and digits, without `Bearer `',
    where: 'Chosen by you: Monitoring → Streams → Custom Webhook → Authorization Token',
  }),
  idIsSigned: true,
  body: { extractJson: linesToArray },
  events: {
    id: json('log_id'),
    topic: json('data.type'),
    occurredAt: { at: json('data.date'), unit: 'iso' },
    items: (body) => body,
  },
  retries:
    'Wants a 2xx; rounds of three tries follow one another; after 7 days without success the stream is paused.',
  sending: { newId: () => `900${randomNumber(14)}${randomNumber(14)}` },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    s: (draft) => [entry(draft, draft.id), entry(draft, `900${randomNumber(14)}${randomNumber(14)}`)],
    fp: (draft) => [entry(draft, draft.id)],
    '*': (draft) => [entry(draft, draft.id)],
  },
};

/** JSON lines become an array; any other body stays unchanged. */
function linesToArray({ body }: Delivery): string | undefined {
  if (!isUtf8(body)) return undefined;
  const text = body.toString('utf8');
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.length > 1 && lines.every((line) => /^\{.*\}\s*$/.test(line)) ? `[${lines.join(',')}]` : text;
}

function entry({ topic, now }: SampleDraft, logId: string): object {
  return {
    log_id: logId,
    data: {
      date: now.toISOString(),
      type: topic,
      description: 'Rung',
      connection: 'Username-Password-Authentication',
      client_name: 'Bell',
      ip: '203.0.113.7',
      user_agent: 'Firefox',
      user_id: 'auth0|64f0c0ffee',
      user_name: 'ada@example.com',
    },
  };
}
