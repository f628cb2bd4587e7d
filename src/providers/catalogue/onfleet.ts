// Onfleet: hex HMAC-SHA512 over the body under a hexadecimal key; tests an endpoint with GET ?check=….
import { queryParam, textAnswer } from '../handshake.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { encodedSecret } from '../secrets.ts';
import { firstOf, header, json, rawBody } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const onfleet: Provider = {
  name: 'onfleet',
  title: 'Onfleet',
  docsUrl: 'https://docs.onfleet.com/reference/webhooks',
  facts:
    'SHA-512 over the raw bytes, secret in hexadecimal, GET ?check and retries D: docs.onfleet.com (secrets, create webhook, retry). Hex of the signature and the decoded key T: n8n. Names of triggers D, triggerName and time in the body T: apis.io. No id is sent: the hash of the body is the id.',
  scheme: hmac({
    hash: 'sha512',
    key: 'hex',
    message: rawBody,
    signature: { at: header('x-onfleet-signature'), encoding: 'hex' },
  }),
  secret: encodedSecret({
    key: 'hex',
    label: 'Webhook secret',
    where: 'Onfleet dashboard → Settings → API & Webhooks → Show Secret',
  }),
  idIsSigned: true,
  events: {
    topic: firstOf(json('triggerName'), ['trigger.', json('triggerId')]),
    occurredAt: { at: json('time'), unit: 'ms' },
  },
  // Onfleet expects the unchanged value as text.
  handshakes: [
    {
      method: 'GET',
      phase: 'unsigned',
      answer: (delivery) => textAnswer(queryParam(delivery, 'check')),
    },
  ],
  retries:
    'Wants exactly 200; tries again every 30 minutes for a day; 300 failures in a row switch the webhook off.',
  answers: { success: [200], failure: { any: 'retried' } },
  samples: {
    taskCompleted: (draft) => trigger(draft, 3),
    taskStarted: (draft) => trigger(draft, 0),
    taskFailed: (draft) => trigger(draft, 4),
    '*': (draft) => trigger(draft, 10),
  },
};

function trigger({ topic, now }: SampleDraft, triggerId: number): object {
  const taskId = randomId();
  return {
    taskId,
    workerId: randomId(),
    actionContext: { type: 'WORKER', id: randomId() },
    triggerId,
    triggerName: topic,
    data: { task: { id: taskId, state: triggerId === 0 ? 2 : 3 } },
    time: now.getTime(),
  };
}
