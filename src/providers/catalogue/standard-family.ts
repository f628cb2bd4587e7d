// Providers that follow Standard Webhooks exactly: signed id, `type` in the body, one secret format.

import type { EventSpec, Provider, Sample } from '../provider.ts';
import type { KeySpec } from '../schemes/key.ts';
import { standardWebhooks } from '../schemes/standard-webhooks.ts';
import { encodedSecret, textSecret } from '../secrets.ts';
import { header, json, type Template } from '../template/parts.ts';
import { randomId } from './sample.ts';

export interface StandardSender
  extends Pick<Provider, 'answers' | 'redelivery' | 'setup' | 'unavailableStatus' | 'bodyLimitBytes'> {
  name: string;
  title: string;
  docsUrl?: string;
  facts: string;
  secret: { label?: string; where: string; format?: string; prefix?: string };
  /** Default: `whsec_` and base64. `text`: the characters are the key. */
  key?: KeySpec;
  /** Default `webhook`: the headers webhook-id, webhook-timestamp and webhook-signature. */
  family?: 'webhook' | 'svix';
  /** Default: `type` of the body. */
  topic?: Template;
  occurredAt?: EventSpec['occurredAt'];
  retries: string;
  samples: Readonly<Record<string, Sample>>;
}

export function standardSender(sender: StandardSender): Provider {
  const {
    family = 'webhook',
    key = { base64: 'whsec_' },
    topic = json('type'),
    occurredAt,
    ...rest
  } = sender;
  const secret = { label: 'Signing secret', ...sender.secret };
  const id = `${family}-id`;
  return {
    ...rest,
    scheme: standardWebhooks(family, key),
    secret: key === 'text' ? textSecret(secret) : encodedSecret({ ...secret, key }),
    idIsSigned: true,
    events: {
      id: header(id),
      topic,
      ...(occurredAt ? { occurredAt } : {}),
    },
    headers: [id, `${family}-timestamp`],
    sending: { newId: () => randomId('msg_'), headers: (draft) => ({ [id]: draft.id }) },
  };
}
