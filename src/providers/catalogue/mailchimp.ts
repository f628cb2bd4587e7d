// Mailchimp Marketing: nothing is signed; the secret is a parameter of the URL that you enter at Mailchimp.
import { bareRequest } from '../handshake.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { credential } from '../schemes/credential.ts';
import { credentialSecret } from '../secrets.ts';
import { computed, json, query, type Reading } from '../template/parts.ts';
import { readText } from '../template/reading.ts';
import { randomId } from './sample.ts';

export const mailchimp: Provider = {
  name: 'mailchimp',
  title: 'Mailchimp Marketing',
  docsUrl: 'https://mailchimp.com/developer/marketing/guides/sync-audience-data-webhooks/',
  facts: 'Secret in the URL, form body and GET on saving T: Hookdeck on the Mailchimp guide. Retries M.',
  scheme: credential({ at: query('secret'), name: 'secret' }),
  secret: credentialSecret({
    label: 'URL secret',
    format: 'your own choice of at least 16 letters and digits',
    where: 'Chosen by you: end the webhook URL entered at Mailchimp with ?secret=…',
  }),
  // Mailchimp sends no id, so the body's hash is the id: a repeated body is the same event.
  idIsSigned: true,
  body: { form: 'nested' },
  events: { topic: json('type'), occurredAt: { at: computed(firedAt), unit: 'iso-utc' } },
  handshakes: [bareRequest('GET')],
  retries:
    'Wants a 2xx within 10 s, then tries again for a while. When the webhook is saved, Mailchimp sends a GET and wants 200.',
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    subscribe: (draft) => form(draft, { ...member(), list_id: 'a6b5da1054', ip_opt: '203.0.113.7' }),
    unsubscribe: (draft) =>
      form(draft, { ...member(), action: 'unsub', reason: 'manual', list_id: 'a6b5da1054' }),
    profile: (draft) => form(draft, { ...member(), list_id: 'a6b5da1054' }),
    cleaned: (draft) =>
      form(draft, {
        list_id: 'a6b5da1054',
        campaign_id: '4fjk2ma9xd',
        reason: 'hard',
        email: `${randomId('ada-')}@example.com`,
      }),
    campaign: (draft) =>
      form(draft, { id: randomId(), subject: 'Ring', status: 'sent', reason: '', list_id: 'a6b5da1054' }),
    '*': (draft) => form(draft, { id: randomId(), list_id: 'a6b5da1054' }),
  },
};

/** `2009-03-26 21:35:57`, in UTC. */
function firedAt(reading: Reading): string | undefined {
  return readText(json('fired_at'), reading)?.replace(' ', 'T');
}

function member(): Record<string, string> {
  return {
    id: randomId(),
    email: 'ada@example.com',
    email_type: 'html',
    'merges][FNAME': 'Ada',
    'merges][LNAME': 'Lovelace',
  };
}

function form({ topic, now }: SampleDraft, data: Record<string, string>): URLSearchParams {
  const fields = new URLSearchParams({
    type: topic,
    fired_at: now.toISOString().slice(0, 19).replace('T', ' '),
  });
  for (const [key, value] of Object.entries(data)) fields.set(`data[${key}]`, value);
  return fields;
}
