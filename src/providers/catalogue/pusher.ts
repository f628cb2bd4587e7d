// Pusher Channels: hex HMAC over the body, a batch of events without ids.
import { splitBody } from '../body/batch.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomId, randomNumber } from './sample.ts';

export const pusher: Provider = {
  name: 'pusher',
  title: 'Pusher Channels',
  docsUrl: 'https://pusher.com/docs/channels/server_api/webhooks/',
  facts:
    'Signature, time_ms and events L: npm pusher, WebHook. Their library wants X-Pusher-Key to be yours too: the header is not signed and proves nothing. Names of events T. Deadline and retries D: docs.bird.com, Channels webhook timeouts and retries.',
  scheme: hmac({ message: rawBody, signature: { at: header('x-pusher-signature'), encoding: 'hex' } }),
  secret: textSecret({ label: 'App secret', where: 'dashboard.pusher.com → your app → App Keys → secret' }),
  // The id is the hash of the event and the time beside it: a channel may become occupied many times.
  idIsSigned: true,
  events: {
    topic: json('events.0.name'),
    occurredAt: { at: json('time_ms'), unit: 'ms' },
    items: (body) => splitBody(body, 'events'),
  },
  headers: ['x-pusher-key'],
  retries: 'Wants a 2xx within 4 s; tries again with growing gaps for 5 minutes.',
  sending: { headers: () => ({ 'x-pusher-key': 'postbell-app-key' }) },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    channel_occupied: (draft) =>
      batch(draft, [{ channel: randomId('bell-') }, { channel: randomId('bell-') }]),
    member_added: (draft) =>
      batch(draft, [{ channel: randomId('presence-bell-'), user_id: String(randomNumber(6)) }]),
    '*': (draft) => batch(draft, [{ channel: randomId('bell-') }]),
  },
};

function batch({ topic, now }: SampleDraft, events: readonly object[]): object {
  return { time_ms: now.getTime(), events: events.map((one) => ({ ...one, name: topic })) };
}
