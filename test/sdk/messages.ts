// Mail, messages and telephony.
import { createSecretKey } from 'node:crypto';
import { Signature } from '@hubspot/api-client';
import { EventDispatcher } from '@larksuiteoapi/node-sdk';
import { validateSignature } from '@line/bot-sdk';
import { EventWebhook } from '@sendgrid/eventwebhook';
import { verifySlackRequest } from '@slack/bolt';
import { verifySignature as verifyVonage } from '@vonage/jwt';
import { verifyKey } from 'discord-interactions';
import messagebird from 'messagebird/lib/webhook-signature-jwt.js';
import plivo from 'plivo';
import Pusher from 'pusher';
import { Resend } from 'resend';
import { sign as signRetell, verify as verifyRetell } from 'retell-sdk';
import { StreamChat } from 'stream-chat';
import Telnyx from 'telnyx';
import twilio from 'twilio';
import { type Arrived, header, json, type Sdks } from './sdk.ts';

const hubspotOptions = (request: Arrived, clientSecret: string) => ({
  signature: header(request, 'x-hubspot-signature-v3') || header(request, 'x-hubspot-signature'),
  clientSecret,
  requestBody: request.text,
  url: request.url,
  timestamp: Number(header(request, 'x-hubspot-request-timestamp')),
});

export const messages: Sdks = {
  sendgrid: {
    package: '@sendgrid/eventwebhook',
    accepts: (request, publicKey) => {
      const webhook = new EventWebhook();
      return webhook.verifySignature(
        webhook.convertPublicKeyToECDSA(publicKey),
        request.body,
        header(request, 'x-twilio-email-event-webhook-signature'),
        header(request, 'x-twilio-email-event-webhook-timestamp'),
      );
    },
  },
  resend: {
    package: 'resend',
    accepts: (request, webhookSecret) =>
      new Resend('re_x').webhooks.verify({
        payload: request.text,
        headers: {
          id: header(request, 'svix-id'),
          timestamp: header(request, 'svix-timestamp'),
          signature: header(request, 'svix-signature'),
        },
        webhookSecret,
      }),
  },
  twilio: {
    package: 'twilio',
    accepts: (request, token) => {
      const signature = header(request, 'x-twilio-signature');
      // By GET its fields are in the URL.
      return header(request, 'content-type').includes('form') || request.text === ''
        ? twilio.validateRequest(
            token,
            signature,
            request.url,
            Object.fromEntries(new URLSearchParams(request.text)),
          )
        : twilio.validateRequestWithBody(token, signature, request.url, request.text);
    },
    sign: (request, { secret }) => ({
      'x-twilio-signature': twilio.getExpectedTwilioSignature(
        secret,
        request.url,
        Object.fromEntries(new URLSearchParams(request.text)),
      ),
    }),
  },
  slack: {
    package: '@slack/bolt',
    accepts: (request, signingSecret) =>
      verifySlackRequest({
        signingSecret,
        body: request.text,
        headers: {
          'x-slack-signature': header(request, 'x-slack-signature'),
          'x-slack-request-timestamp': Number(header(request, 'x-slack-request-timestamp')),
        },
      }),
  },
  discord: {
    package: 'discord-interactions',
    accepts: (request, publicKey) =>
      verifyKey(
        request.body,
        header(request, 'x-signature-ed25519'),
        header(request, 'x-signature-timestamp'),
        publicKey,
      ),
  },
  line: {
    package: '@line/bot-sdk',
    accepts: (request, secret) =>
      validateSignature(request.body, secret, header(request, 'x-line-signature')),
  },
  lark: {
    package: '@larksuiteoapi/node-sdk',
    accepts: (request, encryptKey) =>
      // As its adapters hand a request over: the body's fields, the headers behind them.
      new EventDispatcher({ encryptKey }).requestHandle?.checkIsEventValidated(
        Object.assign(Object.create({ headers: request.headers }), json(request)),
      ),
  },
  telnyx: {
    package: 'telnyx',
    accepts: (request, publicKey) =>
      new Telnyx({ apiKey: 'k', publicKey }).webhooks.unwrap(request.text, {
        headers: { ...request.headers },
      }),
  },
  vonage: {
    package: '@vonage/jwt',
    // It looks at the token alone; the hash of the body in it is left to its caller.
    ignoresBody: true,
    accepts: (request, secret) =>
      verifyVonage(header(request, 'authorization').replace('Bearer ', ''), secret),
  },
  messagebird: {
    package: 'messagebird',
    accepts: (request, secret) =>
      messagebird.verify(
        request.url,
        request.body,
        header(request, 'messagebird-signature-jwt'),
        createSecretKey(Buffer.from(secret)),
      ),
  },
  plivo: {
    package: 'plivo',
    accepts: (request, token) =>
      plivo.validateV3Signature(
        'POST',
        request.url,
        header(request, 'x-plivo-signature-v3-nonce'),
        token,
        header(request, 'x-plivo-signature-v3'),
        Object.fromEntries(new URLSearchParams(request.text)),
      ),
  },
  pusher: {
    package: 'pusher',
    accepts: (request, secret) =>
      new Pusher({ appId: '1', key: header(request, 'x-pusher-key'), secret, cluster: 'eu' })
        .webhook({ headers: { ...request.headers }, rawBody: request.text })
        .isValid(),
  },
  retell: {
    package: 'retell-sdk',
    accepts: (request, key) => verifyRetell(request.text, key, header(request, 'x-retell-signature')),
    sign: async ({ text }, { secret }) => ({ 'x-retell-signature': await signRetell(text, secret) }),
  },
  getstream: {
    package: 'stream-chat',
    accepts: (request, secret) =>
      new StreamChat('key', secret).verifyWebhook(request.body, header(request, 'x-signature')),
  },
  hubspot: {
    package: '@hubspot/api-client',
    accepts: (request, secret) =>
      Signature.isValid({
        ...hubspotOptions(request, secret),
        method: 'POST',
        signatureVersion: header(request, 'x-hubspot-signature-version') || 'v3',
      }),
    sign: (request, { secret }) => ({
      'x-hubspot-signature-v3': Signature.getSignature('POST', 'v3', hubspotOptions(request, secret)),
    }),
  },
};
