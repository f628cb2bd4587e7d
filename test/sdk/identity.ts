// Identity, and the standards.
import { Webhook as Authsignal } from '@authsignal/node';
import { verifyWebhook } from '@clerk/backend/webhooks';
import { EventCallbackHelper, EventCallbackRequest } from '@dropbox/sign';
import { WebhookEventVerifier } from '@onfido/api';
import { SeamWebhook } from '@seamapi/webhook';
import { WorkOS } from '@workos-inc/node';
import { WebhooksManager } from 'box-node-sdk/lib/managers/webhooks';
import { Webhook as StandardWebhook } from 'standardwebhooks';
import { Webhook as SvixWebhook } from 'svix';
import { header, json, type Sdk, type Sdks, webRequest } from './sdk.ts';

const signedAt = (seconds: string | undefined) => new Date(Number(seconds) * 1000);

const standard: Sdk = {
  package: 'standardwebhooks',
  accepts: (request, secret) => new StandardWebhook(secret).verify(request.text, { ...request.headers }),
  sign: ({ headers, text }, { secret }) => ({
    'webhook-signature': new StandardWebhook(secret).sign(
      headers['webhook-id'] ?? '',
      signedAt(headers['webhook-timestamp']),
      text,
    ),
  }),
};

const withoutVersion = (secret: string) => secret.replace('v1,', '');

export const identity: Sdks = {
  supabase: {
    package: 'standardwebhooks',
    // As Supabase's documentation does it.
    accepts: (request, secret) =>
      new StandardWebhook(withoutVersion(secret)).verify(request.text, { ...request.headers }),
    sign: (request, { secret }) => ({
      'webhook-signature': new StandardWebhook(withoutVersion(secret)).sign(
        request.headers['webhook-id'] ?? '',
        signedAt(request.headers['webhook-timestamp']),
        request.text,
      ),
    }),
  },
  'standard-webhooks': standard,
  // Render's own examples verify with it.
  render: standard,
  // Its signing tokens are Standard Webhooks; a plain token is compared and nothing more.
  gitlab: {
    package: 'standardwebhooks',
    accepts: (request, secret) => new StandardWebhook(secret).verify(request.text, { ...request.headers }),
  },
  svix: {
    package: 'svix',
    accepts: (request, secret) => new SvixWebhook(secret).verify(request.text, { ...request.headers }),
    sign: ({ headers, text }, { secret }) => ({
      'svix-signature': new SvixWebhook(secret).sign(
        headers['svix-id'] ?? '',
        signedAt(headers['svix-timestamp']),
        text,
      ),
    }),
  },
  clerk: {
    package: '@clerk/backend',
    accepts: (request, signingSecret) => verifyWebhook(webRequest(request), { signingSecret }),
  },
  seam: {
    package: '@seamapi/webhook',
    accepts: (request, secret) => new SeamWebhook(secret).verify(request.text, { ...request.headers }),
  },
  'dropbox-sign': {
    package: '@dropbox/sign',
    ignoresBody: true,
    accepts: async (request, apiKey) => {
      const field = (await webRequest(request).formData()).get('json');
      return EventCallbackHelper.isValid(apiKey, EventCallbackRequest.init(JSON.parse(String(field))));
    },
  },
  workos: {
    package: '@workos-inc/node',
    accepts: (request, secret) =>
      new WorkOS('sk_x').webhooks.constructEvent({
        payload: json(request),
        sigHeader: header(request, 'workos-signature'),
        secret,
      }),
  },
  onfido: {
    package: '@onfido/api',
    accepts: (request, secret) =>
      new WebhookEventVerifier(secret).readPayload(request.text, header(request, 'x-sha2-signature')),
  },
  authsignal: {
    package: '@authsignal/node',
    accepts: (request, secret) =>
      new Authsignal(secret).constructEvent(request.text, header(request, 'x-signature-v2')),
  },
  box: {
    package: 'box-node-sdk',
    accepts: (request, secret) =>
      WebhooksManager.validateMessage(request.text, { ...request.headers }, secret, {
        secondaryKey: secret,
      } as never),
  },
};
