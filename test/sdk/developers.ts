// Developer tools, content and media.

import Anthropic from '@anthropic-ai/sdk';
import * as atlassian from '@atlassian/atlassian-jwt';
import { signRequest, verifyRequest } from '@contentful/node-apps-toolkit';
import { ElevenLabsClient } from '@elevenlabs/elevenlabs-js';
import { isValidWebhookSignature } from '@fingerprint/node-sdk';
import { generateWebhookSignature, verifyWebhookSignature as verifyHygraph } from '@hygraph/utils';
import { SignatureHelper } from '@kontent-ai/webhook-helper';
import { LinearWebhookClient } from '@linear/sdk/webhooks';
import { WebhookHandler } from '@liveblocks/node';
import Mux from '@mux/mux-node';
import { signWebhookPayload, verifyWebhookSignature } from '@notionhq/client';
import { sign as signGitHub, verify as verifyGitHub } from '@octokit/webhooks-methods';
import { encodeSignatureHeader, isValidSignature } from '@sanity/webhook';
import { Receiver } from '@upstash/qstash';
import { v2 as cloudinary } from 'cloudinary';
import { WebhookReceiver } from 'livekit-server-sdk';
import OpenAI from 'openai';
import { validateWebhook } from 'replicate';
import smartcar from 'smartcar';
import { type Arrived, header, json, type Sdks, webRequest } from './sdk.ts';

const canonical = (request: Arrived, headers: Record<string, string> = {}) => {
  const { pathname, search } = new URL(request.url);
  return { method: 'POST' as const, path: pathname + search, headers, body: request.text };
};

export const developers: Sdks = {
  github: {
    package: '@octokit/webhooks-methods',
    accepts: (request, secret) => verifyGitHub(secret, request.text, header(request, 'x-hub-signature-256')),
    sign: async ({ text }, { secret }) => ({ 'x-hub-signature-256': await signGitHub(secret, text) }),
  },
  'atlassian-connect': {
    package: '@atlassian/atlassian-jwt',
    ignoresBody: true,
    accepts: (request, sharedSecret) => {
      const token = header(request, 'authorization').replace('JWT ', '');
      const claims = atlassian.decodeSymmetric(token, sharedSecret, atlassian.SymmetricAlgorithm.HS256);
      const { pathname, search } = new URL(request.url);
      return (
        claims.qsh === atlassian.createQueryStringHash(atlassian.fromMethodAndUrl('POST', pathname + search))
      );
    },
    sign: (request, { secret }) => {
      const { pathname, search } = new URL(request.url);
      const iat = Math.floor(Date.now() / 1000);
      const qsh = atlassian.createQueryStringHash(atlassian.fromMethodAndUrl('POST', pathname + search));
      return {
        authorization: `JWT ${atlassian.encodeSymmetric({ iss: 'jira', iat, exp: iat + 180, qsh }, secret)}`,
      };
    },
  },
  linear: {
    package: '@linear/sdk',
    accepts: (request, secret) =>
      new LinearWebhookClient(secret).verify(
        request.body,
        header(request, 'linear-signature'),
        json(request).webhookTimestamp as number,
      ),
  },
  notion: {
    package: '@notionhq/client',
    accepts: (request, verificationToken) =>
      verifyWebhookSignature({
        body: request.text,
        signature: header(request, 'x-notion-signature'),
        verificationToken,
      }),
    sign: async ({ text }, { secret }) => ({
      'x-notion-signature': await signWebhookPayload({ body: text, verificationToken: secret }),
    }),
  },
  contentful: {
    package: '@contentful/node-apps-toolkit',
    accepts: (request, secret) => verifyRequest(secret, canonical(request, { ...request.headers }), 30),
    sign: (request, { secret }) =>
      signRequest(
        secret,
        canonical(request, { 'content-type': header(request, 'content-type') }),
        Date.now(),
      ) as unknown as Record<string, string>,
  },
  sanity: {
    package: '@sanity/webhook',
    accepts: (request, secret) =>
      isValidSignature(request.text, header(request, 'sanity-webhook-signature'), secret),
    sign: async ({ text }, { secret }) => ({
      'sanity-webhook-signature': await encodeSignatureHeader(text, Date.now(), secret),
    }),
  },
  hygraph: {
    package: '@hygraph/utils',
    accepts: (request, secret) =>
      verifyHygraph({ body: json(request), signature: header(request, 'gcms-signature'), secret }),
    sign: ({ text }, { secret }) => ({
      'gcms-signature': generateWebhookSignature({
        body: JSON.parse(text),
        environmentName: 'master',
        timestamp: Date.now(),
        secret,
      } as never),
    }),
  },
  'kontent-ai': {
    package: '@kontent-ai/webhook-helper',
    accepts: (request, secret) =>
      new SignatureHelper().isValidSignatureFromString(
        request.text,
        secret,
        header(request, 'x-kontent-ai-signature'),
      ),
  },
  cloudinary: {
    package: 'cloudinary',
    accepts: (request, api_secret) => {
      cloudinary.config({ api_key: 'k', api_secret });
      return cloudinary.utils.verifyNotificationSignature(
        request.text,
        Number(header(request, 'x-cld-timestamp')),
        header(request, 'x-cld-signature'),
      );
    },
  },
  liveblocks: {
    package: '@liveblocks/node',
    // It looks at the signature first, then refuses the kinds that it does not know.
    accepts: (request, secret) => {
      try {
        return new WebhookHandler(secret).verifyRequest({
          headers: { ...request.headers },
          rawBody: request.text,
        });
      } catch (error) {
        if ((error as Error).message.startsWith('Unknown event type')) return true;
        throw error;
      }
    },
  },
  mux: {
    package: '@mux/mux-node',
    accepts: (request, secret) =>
      new Mux({ tokenId: 't', tokenSecret: 's' }).webhooks.verifySignature(
        request.text,
        { ...request.headers },
        secret,
      ),
  },
  openai: {
    package: 'openai',
    accepts: (request, secret) =>
      new OpenAI({ apiKey: 'k' }).webhooks.verifySignature(request.text, { ...request.headers }, secret),
  },
  anthropic: {
    package: '@anthropic-ai/sdk',
    accepts: (request, key) =>
      new Anthropic({ apiKey: 'k' }).beta.webhooks.unwrap(request.text, {
        headers: { ...request.headers },
        key,
      }),
  },
  replicate: {
    package: 'replicate',
    accepts: (request, secret) => validateWebhook(webRequest(request), secret),
  },
  elevenlabs: {
    package: '@elevenlabs/elevenlabs-js',
    accepts: (request, secret) =>
      new ElevenLabsClient({ apiKey: 'k' }).webhooks.constructEvent(
        request.text,
        header(request, 'elevenlabs-signature'),
        secret,
      ),
  },
  fingerprint: {
    package: '@fingerprint/node-sdk',
    accepts: (request, secret) =>
      isValidWebhookSignature({
        header: header(request, 'fpjs-event-signature'),
        data: request.body,
        secret,
      }),
  },
  livekit: {
    package: 'livekit-server-sdk',
    accepts: (request, secret) => {
      const [key = '', apiSecret = ''] = secret.split(':');
      return new WebhookReceiver(key, apiSecret).receive(request.text, header(request, 'authorization'));
    },
  },
  qstash: {
    package: '@upstash/qstash',
    accepts: (request, key) =>
      new Receiver({ currentSigningKey: key, nextSigningKey: key }).verify({
        signature: header(request, 'upstash-signature'),
        body: request.text,
        url: request.url,
      }),
  },
  smartcar: {
    package: 'smartcar',
    accepts: (request, token) =>
      smartcar.verifyPayload(token, header(request, 'sc-signature'), json(request)),
  },
};
