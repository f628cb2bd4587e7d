// Mautic: base64 HMAC over the body, a batch with one list of events per type.
import { valueAt } from '../body/body.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { computed, header, type Reading, rawBody } from '../template/parts.ts';
import { randomNumber } from './sample.ts';

export const mautic: Provider = {
  name: 'mautic',
  title: 'Mautic',
  docsUrl: 'https://mautic-developer.readthedocs.io/en/latest/webhooks/getting_started.html',
  facts:
    'Header, raw body and shape of a batch D: mautic-developer.readthedocs.io, webhooks. base64 of HMAC-SHA256 T: n8n and a Drupal module, time in an event T: the same and Mautic for Zapier. No id is sent: the hash of one event is the id. Retries unknown.',
  // GoCardless sends hex under this header name, Standard Webhooks a list.
  scheme: hmac({ message: rawBody, signature: { at: header('webhook-signature'), encoding: 'base64' } }),
  secret: textSecret({ label: 'Secret', where: 'Settings → Webhooks → your webhook → Secret' }),
  idIsSigned: true,
  events: {
    topic: computed(typeOf),
    occurredAt: { at: computed(timeOf), unit: 'iso' },
    items: splitTypes,
  },
  retries: 'Wants a 2xx; queued events are sent together by the next cron job.',
  answers: 'unknown',
  samples: {
    'mautic.lead_post_save_update': (draft) => batch(draft, 2),
    'mautic.form_on_submit': (draft) => batch(draft, 1),
    '*': (draft) => batch(draft, 1),
  },
};

/** Each event becomes a body of Mautic's own shape with one type and one event, so that no member is lost. */
function splitTypes(body: unknown): unknown {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return undefined;
  // Older versions may send a single event without a list.
  return Object.entries(body).flatMap(([type, events]) =>
    [events].flat().map((event: unknown) => ({ [type]: [event] })),
  );
}

function typeOf(reading: Reading): string | undefined {
  return Object.keys(reading.item ?? {})[0];
}

function timeOf(reading: Reading): string | undefined {
  const time = valueAt(reading.item, [typeOf(reading) ?? '', '0', 'timestamp']);
  return typeof time === 'string' ? time : undefined;
}

function batch({ topic, now }: SampleDraft, count: number): object {
  const events = Array.from({ length: count }, () => ({
    contact: {
      id: randomNumber(12),
      points: 0,
      fields: { core: { email: { alias: 'email', value: 'ada@example.com' } } },
    },
    timestamp: now.toISOString(),
  }));
  return { [topic]: events };
}
