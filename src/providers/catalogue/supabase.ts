// Supabase Auth hooks: Standard Webhooks with the secret written `v1,whsec_…`; each attempt has another webhook-id.
import { jsonAnswer } from '../handshake.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { decodeKey } from '../schemes/key.ts';
import { standardWebhooks } from '../schemes/standard-webhooks.ts';
import { encodedSecret } from '../secrets.ts';
import { firstOf, header, json } from '../template/parts.ts';

const idHeader = 'webhook-id';
const versionPrefix = 'v1,';
const key = { base64: 'whsec_' };
const bare = (secret: string) =>
  secret.startsWith(versionPrefix) ? secret.slice(versionPrefix.length) : secret;
const symmetric = encodedSecret({
  label: 'Hook secret',
  where: 'Dashboard → Authentication → Hooks → your hook (HTTPS) → Generate secret',
  key,
});

export const supabase: Provider = {
  name: 'supabase',
  title: 'Supabase Auth hooks',
  docsUrl: 'https://supabase.com/docs/guides/auth/auth-hooks',
  facts:
    'Signature, secret, signatures joined by comma and blank, a new webhook-id for each attempt, metadata, retries and answers L: supabase/auth, hookshttp.go and v0hooks.go. Older servers send no metadata L: an event is then each attempt. Hooks whose answer decides something (access token, MFA, password) cannot be answered from an inbox. Database webhooks are not signed T: take generic or cloudevents for them.',
  scheme: standardWebhooks('webhook', (secret) => decodeKey(key, bare(secret)), ', '),
  secret: {
    ...symmetric,
    format: 'v1,whsec_… of base64',
    check: (secret) => symmetric.check(bare(secret)),
    generate: () => ({ secret: versionPrefix + symmetric.generate().secret }),
  },
  idIsSigned: true,
  events: {
    id: firstOf(json('metadata.uuid'), header(idHeader)),
    topic: json('metadata.name'),
    occurredAt: { at: json('metadata.time'), unit: 'iso' },
  },
  headers: [idHeader, 'webhook-timestamp'],
  // Supabase reads the answer as the hook's output. For the hooks that an inbox can serve, the output has no fields.
  acceptedAnswer: jsonAnswer({}),
  retries:
    'Wants 200, 202 or 204 with JSON; 5 s for all attempts together; up to 3 attempts, after a 429 or 503 only with Retry-After. The user waits during that time.',
  sending: {
    newId: () => crypto.randomUUID(),
    headers: () => ({ [idHeader]: crypto.randomUUID() }),
  },
  answers: {
    success: [200, 202, 204],
    failure: { 429: 'retried', 503: 'retried', '4xx': 'final', '5xx': 'final' },
  },
  setup: {
    url: 'Dashboard → Authentication → Hooks → Add hook → HTTPS → URL',
    events: 'Send email and Send SMS',
  },
  samples: {
    'send-email': (draft) => ({
      ...hook(draft),
      email_data: {
        token: '305805',
        token_hash: '7d5b7b1964cf5d388340a7f04f1dbb5eeb6c7b52ef8270e1737a58d0',
        redirect_to: 'https://shop.example.com/',
        email_action_type: 'signup',
        site_url: 'https://shop.example.com/',
      },
    }),
    'send-sms': (draft) => ({ ...hook(draft), sms: { otp: '561166' } }),
    '*': hook,
  },
};

function hook({ topic, id, now }: SampleDraft): object {
  return {
    metadata: { uuid: id, time: now.toISOString(), name: topic, ip_address: '203.0.113.7' },
    user: { id: crypto.randomUUID(), aud: 'authenticated', email: 'ada@example.com', phone: '' },
  };
}
