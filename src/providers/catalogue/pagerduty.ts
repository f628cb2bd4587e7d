// PagerDuty v3: a list of `v1=` hex HMACs over the body, one for each active secret.
import { valueAt } from '../body/body.ts';
import { emptyAnswer, smallJsonBody } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody } from '../template/parts.ts';
import { randomId, randomNumber } from './sample.ts';

export const pagerduty: Provider = {
  name: 'pagerduty',
  title: 'PagerDuty',
  docsUrl: 'https://docs.pagerduty.com/developer/verifying-webhook-signatures',
  facts:
    'Signature, deadline and retries D: PagerDuty/developer-docs, verifying signatures and behavior. Body and pagey.ping T: several receivers that agree.',
  scheme: hmac({
    message: rawBody,
    signature: { at: header('x-pagerduty-signature'), encoding: 'hex', separator: ',', prefix: 'v1=' },
  }),
  secret: textSecret({
    label: 'Signing secret',
    where: 'Shown once, when the subscription is made: Integrations → Generic Webhooks (v3)',
  }),
  idIsSigned: true,
  events: {
    id: json('event.id'),
    topic: json('event.event_type'),
    occurredAt: { at: json('event.occurred_at'), unit: 'iso' },
  },
  headers: ['x-webhook-id', 'x-webhook-subscription'],
  handshakes: [{ method: 'POST', phase: 'verified', answer: answerPing }],
  retries:
    'Wants a 2xx within 5 s; 4 retries in about 20 min, none after a 4xx but 429; then 24 h without webhooks.',
  sending: { newId: () => randomId('01').toUpperCase() },
  answers: { failure: { '4xx': 'final', 429: 'retried', '5xx': 'retried' } },
  samples: {
    'incident.triggered': (draft) => event(draft, { status: 'triggered' }),
    'incident.acknowledged': (draft) => event(draft, { status: 'acknowledged' }),
    'incident.resolved': (draft) => event(draft, { status: 'resolved' }),
    '*': (draft) => event(draft, {}),
  },
};

/** The button "Send test event". */
function answerPing(delivery: Delivery): HandshakeAnswer | undefined {
  const type = valueAt(smallJsonBody(delivery, '"pagey.ping"'), ['event', 'event_type']);
  return type === 'pagey.ping' ? emptyAnswer() : undefined;
}

function event({ topic, id, now }: SampleDraft, more: object): object {
  return {
    event: {
      id,
      event_type: topic,
      resource_type: topic.split('.')[0],
      occurred_at: now.toISOString(),
      agent: { id: 'PLH1HKV', type: 'user_reference', summary: 'Ada Lovelace' },
      client: null,
      data: {
        id: randomId('Q').toUpperCase(),
        type: 'incident',
        number: randomNumber(4),
        title: 'The bell is silent',
        service: { id: 'PF9KMXH', type: 'service_reference', summary: 'Bells' },
        urgency: 'high',
        ...more,
      },
    },
  };
}
