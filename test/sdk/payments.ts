// Payments and billing.
import { createPublicKey } from 'node:crypto';
import { hmacValidator } from '@adyen/api-library';
import { Environment, Paddle } from '@paddle/paddle-node-sdk';
import { PayOS } from '@payos/node';
import { validateEvent } from '@polar-sh/sdk/webhooks.js';
import * as portone from '@portone/server-sdk';
import Whop from '@whop/sdk';
import braintree from 'braintree';
import { Cashfree, CFEnvironment } from 'cashfree-pg';
import { basicAuthValidator } from 'chargebee';
import DodoPayments from 'dodopayments';
import { WebhookSignature } from 'fintoc';
import * as gocardless from 'gocardless-nodejs';
import Lithic from 'lithic';
import { WebhookSignatureValidator } from 'mercadopago';
import ModernTreasury from 'modern-treasury';
import Orb from 'orb-billing';
import Razorpay from 'razorpay';
import { WebhooksHelper } from 'square';
import Stripe from 'stripe';
import * as truelayer from 'truelayer-signing';
import { header, json, type Sdks } from './sdk.ts';

const pemOf = (spki: string) =>
  createPublicKey({ key: Buffer.from(spki, 'base64'), format: 'der', type: 'spki' })
    .export({ format: 'pem', type: 'spki' })
    .toString();

export const payments: Sdks = {
  adyen: {
    package: '@adyen/api-library',
    // Of a payment only eight fields are signed: altering a digit of the time shows nothing.
    ignoresBody: true,
    accepts: (request, key) => {
      const { notificationItems } = json(request) as {
        notificationItems?: { NotificationRequestItem: never }[];
      };
      const validator = new hmacValidator();
      return notificationItems
        ? notificationItems.every((item) => validator.validateHMAC(item.NotificationRequestItem, key))
        : validator.validateHMACSignature(key, header(request, 'hmacsignature'), request.text);
    },
  },
  stripe: {
    package: 'stripe',
    accepts: (request, secret) => {
      const stripe = new Stripe('sk_test_x');
      const signature = header(request, 'stripe-signature');
      return request.text.includes('"v2.core.event"')
        ? stripe.parseEventNotification(request.body, signature, secret)
        : stripe.webhooks.constructEvent(request.body, signature, secret);
    },
    sign: ({ text }, { secret }) => ({
      'stripe-signature': new Stripe('sk_test_x').webhooks.generateTestHeaderString({
        payload: text,
        secret,
      }),
    }),
  },
  square: {
    package: 'square',
    accepts: (request, signatureKey) =>
      WebhooksHelper.verifySignature({
        requestBody: request.text,
        signatureHeader: header(request, 'x-square-hmacsha256-signature'),
        signatureKey,
        notificationUrl: request.url,
      }),
  },
  braintree: {
    package: 'braintree',
    accepts: ({ text }, secret) => {
      const [publicKey = '', privateKey = ''] = secret.split(':');
      const gateway = new braintree.BraintreeGateway({
        environment: braintree.Environment.Sandbox,
        merchantId: 'integration_merchant_id',
        publicKey,
        privateKey,
      });
      const fields = new URLSearchParams(text);
      return gateway.webhookNotification.parse(
        fields.get('bt_signature') ?? '',
        fields.get('bt_payload') ?? '',
      );
    },
  },
  paddle: {
    package: '@paddle/paddle-node-sdk',
    accepts: (request, secret) =>
      new Paddle('key', { environment: Environment.sandbox }).webhooks.isSignatureValid(
        request.text,
        secret,
        header(request, 'paddle-signature'),
      ),
  },
  razorpay: {
    package: 'razorpay',
    accepts: (request, secret) =>
      Razorpay.validateWebhookSignature(request.text, header(request, 'x-razorpay-signature'), secret),
  },
  gocardless: {
    package: 'gocardless-nodejs',
    accepts: (request, secret) =>
      gocardless.parse(request.body, secret, header(request, 'webhook-signature')),
  },
  mercadopago: {
    package: 'mercadopago',
    ignoresBody: true,
    accepts: (request, secret) => {
      WebhookSignatureValidator.validate({
        xSignature: header(request, 'x-signature'),
        xRequestId: header(request, 'x-request-id'),
        dataId: new URL(request.url).searchParams.get('data.id')?.toLowerCase(),
        secret,
      });
    },
  },
  cashfree: {
    package: 'cashfree-pg',
    accepts: (request, secret) =>
      new Cashfree(CFEnvironment.SANDBOX, 'id', secret).PGVerifyWebhookSignature(
        header(request, 'x-webhook-signature'),
        request.text,
        header(request, 'x-webhook-timestamp'),
      ),
  },
  payos: {
    package: '@payos/node',
    accepts: (request, checksumKey) =>
      new PayOS({ clientId: 'id', apiKey: 'key', checksumKey }).webhooks.verify(json(request) as never),
  },
  'modern-treasury': {
    package: 'modern-treasury',
    accepts: (request, key) =>
      new ModernTreasury({ organizationID: 'o', apiKey: 'k' }).webhooks.validateSignature(
        request.text,
        request.headers as Record<string, string>,
        { key },
      ),
    sign: async ({ text }, { secret: key }) => ({
      'x-signature': new ModernTreasury({ organizationID: 'o', apiKey: 'k' }).webhooks.getSignature(text, {
        key,
      }),
    }),
  },
  orb: {
    package: 'orb-billing',
    accepts: (request, secret) =>
      new Orb({ apiKey: 'k' }).webhooks.verifySignature(request.text, { ...request.headers }, secret),
  },
  fintoc: {
    package: 'fintoc',
    accepts: (request, secret) =>
      WebhookSignature.verifyHeader(request.text, header(request, 'fintoc-signature'), secret),
  },
  chargebee: {
    package: 'chargebee',
    ignoresBody: true,
    accepts: (request, secret) =>
      basicAuthValidator((user, password) => `${user}:${password}` === secret)({ ...request.headers }),
  },
  lithic: {
    package: 'lithic',
    accepts: (request, secret) =>
      new Lithic({ apiKey: 'k' }).webhooks.verifySignature(request.text, { ...request.headers }, secret),
  },
  dodopayments: {
    package: 'dodopayments',
    accepts: (request, key) =>
      new DodoPayments({ bearerToken: 'k' }).webhooks.unwrap(request.text, {
        headers: { ...request.headers },
        key,
      }),
  },
  truelayer: {
    package: 'truelayer-signing',
    accepts: (request, publicKey) =>
      truelayer.verify({
        publicKeyPem: pemOf(publicKey),
        signature: header(request, 'tl-signature'),
        method: 'POST' as never,
        path: new URL(request.url).pathname,
        body: request.text,
        headers: { ...request.headers },
      }),
    sign: (request, { privateKey = '' }) => ({
      'tl-signature': truelayer.sign({
        kid: 'test',
        privateKeyPem: privateKey,
        method: 'POST' as never,
        path: new URL(request.url).pathname,
        headers: { 'X-Tl-Webhook-Timestamp': header(request, 'x-tl-webhook-timestamp') },
        body: request.text,
      }),
    }),
  },
  portone: {
    package: '@portone/server-sdk',
    accepts: (request, secret) => portone.Webhook.verify(secret, request.text, { ...request.headers }),
  },
  polar: {
    package: '@polar-sh/sdk',
    // Its schemas are stricter than its signatures: an event of a kind that it does not know is believed all the same.
    accepts: (request, secret) => {
      try {
        return validateEvent(request.body, { ...request.headers }, secret);
      } catch (error) {
        if ((error as Error).name === 'SDKValidationError') return true;
        throw error;
      }
    },
  },
  whop: {
    package: '@whop/sdk',
    accepts: (request, secret) =>
      new Whop({ apiKey: 'unused' }).webhooks.unwrap(request.text, {
        headers: { ...request.headers },
        key: Buffer.from(secret).toString('base64'),
      }),
  },
};
