// Cloudflare notifications: nothing is signed; the secret of the destination comes in a header.

import type { Provider, SampleDraft } from '../provider.ts';
import { credential } from '../schemes/credential.ts';
import { credentialSecret } from '../secrets.ts';
import { header, json } from '../template/parts.ts';
import { unixSeconds } from './sample.ts';

export const cloudflare: Provider = {
  name: 'cloudflare',
  title: 'Cloudflare notifications',
  docsUrl: 'https://developers.cloudflare.com/notifications/get-started/configure-webhooks/',
  facts:
    'Header D: the page above. Fields and seconds D: the same site, webhook payload schema. A test is sent when the destination is saved T: alchemy.run. No id is sent, and one alert tells start and end: the hash of the body is the id. Retries: not found. Stream and other products sign in other ways and are not meant here.',
  scheme: credential({ at: header('cf-webhook-auth'), name: 'static secret' }),
  secret: credentialSecret({
    label: 'Secret',
    format: 'your own choice, at least 16 letters and digits',
    where: 'Chosen by you: dash.cloudflare.com → Notifications → Destinations → Webhooks → Secret',
  }),
  idIsSigned: true,
  events: { topic: json('alert_type'), occurredAt: { at: json('ts'), unit: 's' } },
  retries: 'Wants a 2xx; retries unknown.',
  answers: 'unknown',
  samples: {
    http_alert_origin_error: (draft) => alert(draft),
    universal_ssl_event_type: (draft) => alert(draft),
    '*': (draft) => alert(draft),
  },
};

function alert({ topic, now }: SampleDraft): object {
  return {
    name: 'Bell',
    text: `${topic} for a trial`,
    data: {},
    ts: unixSeconds(now),
    account_id: '0123456789abcdef0123456789abcdef',
    policy_id: crypto.randomUUID(),
    policy_name: 'Bell',
    alert_type: topic,
    alert_correlation_id: crypto.randomUUID(),
    alert_event: 'ALERT_STATE_EVENT_START',
  };
}
