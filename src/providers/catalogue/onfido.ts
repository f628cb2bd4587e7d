// Onfido: bare hex HMAC over the body; no id is sent, so the body's hash is the id.
import { firstOf, header, json, rawBody } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';

export const onfido: Provider = {
  name: 'onfido',
  title: 'Onfido',
  docsUrl: 'https://documentation.onfido.com/api/latest/#webhooks',
  facts:
    'Signature and fields L: npm @onfido/api, WebhookEventVerifier and its types. Signature T as well: hexdocs.pm, onfido_v3. Retry schedule unknown.',
  scheme: hmac({ message: rawBody, signature: { at: header('x-sha2-signature'), encoding: 'hex' } }),
  secret: textSecret({
    label: 'Webhook token',
    where: 'dashboard.onfido.com → Settings → Webhooks, or `token` in the answer of the API; shown once',
  }),
  idIsSigned: true,
  events: {
    topic: json('payload.action'),
    occurredAt: {
      at: firstOf(json('payload.object.completed_at_iso8601'), json('payload.object.started_at_iso8601')),
      unit: 'iso',
    },
  },
  retries: 'Wants a 2xx; schedule unknown.',
  answers: 'unknown',
  samples: {
    'workflow_run.completed': (draft) => event(draft, 'workflow_run', 'approved'),
    'check.completed': (draft) => event(draft, 'check', 'complete'),
    'report.completed': (draft) => event(draft, 'report', 'complete'),
    '*': (draft) => event(draft, 'check', 'complete'),
  },
};

function event({ topic, now }: SampleDraft, resourceType: string, status: string): object {
  const id = crypto.randomUUID();
  return {
    payload: {
      resource_type: resourceType,
      action: topic,
      object: {
        id,
        status,
        completed_at_iso8601: now.toISOString(),
        href: `https://api.eu.onfido.com/v3.6/${resourceType}s/${id}`,
      },
    },
  };
}
