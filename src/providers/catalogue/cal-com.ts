// Cal.com: bare hex HMAC over the body; no id is sent, so the body's hash is the id.
import { header, json, rawBody } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { randomId, randomNumber } from './sample.ts';

export const calCom: Provider = {
  name: 'cal-com',
  title: 'Cal.com',
  docsUrl: 'https://cal.com/docs/developing/guides/automation/webhooks',
  facts:
    'Header and algorithm D: the Cal.com documentation (copy at docs.onestack.cloud). Hex T: n8n and Trigger.dev. Body T: the same; with a payload template of your own there is no triggerEvent. Retries unknown.',
  scheme: hmac({ message: rawBody, signature: { at: header('x-cal-signature-256'), encoding: 'hex' } }),
  secret: textSecret({
    label: 'Secret',
    format: 'text, your own choice',
    where: 'Chosen by you: Settings → Developer → Webhooks → your webhook → Secret',
  }),
  idIsSigned: true,
  events: { topic: json('triggerEvent'), occurredAt: { at: json('createdAt'), unit: 'iso' } },
  retries: 'Wants a 2xx; no retries are documented.',
  answers: 'unknown',
  samples: {
    BOOKING_CREATED: (draft) => booking(draft, 'ACCEPTED'),
    BOOKING_RESCHEDULED: (draft) => booking(draft, 'ACCEPTED'),
    BOOKING_CANCELLED: (draft) => booking(draft, 'CANCELLED'),
    '*': (draft) => booking(draft, 'ACCEPTED'),
  },
};

function booking({ topic, now }: SampleDraft, status: string): object {
  return {
    triggerEvent: topic,
    createdAt: now.toISOString(),
    payload: {
      uid: randomId(),
      bookingId: randomNumber(6),
      type: '30min',
      title: '30 Min Meeting between Grace and Ada',
      startTime: now.toISOString(),
      endTime: new Date(now.getTime() + 1_800_000).toISOString(),
      organizer: { name: 'Grace', email: 'grace@example.com', timeZone: 'Europe/Berlin' },
      attendees: [{ name: 'Ada', email: 'ada@example.com', timeZone: 'Europe/London' }],
      status,
    },
  };
}
