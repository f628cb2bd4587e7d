// Commerce and shipping.
import EasyPost from '@easypost/api';
import '@shopify/shopify-api/adapters/node';
import { ApiVersion, shopifyApi } from '@shopify/shopify-api';
import { Webhook } from 'standardwebhooks';
import type { Sdks } from './sdk.ts';

interface EasyPostUtils {
  validateWebhook(body: Buffer, headers: object, secret: string): object;
}

export const commerce: Sdks = {
  shopify: {
    package: '@shopify/shopify-api',
    accepts: async (request, secret) => {
      const shopify = shopifyApi({
        apiKey: 'key',
        apiSecretKey: secret,
        scopes: [],
        hostName: 'shop.example.com',
        apiVersion: ApiVersion.July25,
        isEmbeddedApp: false,
      });
      const { valid } = await shopify.webhooks.validate({
        rawBody: request.text,
        rawRequest: { method: 'POST', url: request.url, headers: { ...request.headers } },
        rawResponse: {},
      });
      return valid;
    },
  },
  bigcommerce: {
    package: 'standardwebhooks',
    // As BigCommerce's documentation does it: the client secret's text, base64-encoded for the library.
    accepts: (request, secret) =>
      new Webhook(Buffer.from(secret).toString('base64')).verify(request.text, { ...request.headers }),
    sign: (request, { secret }) => ({
      'webhook-signature': new Webhook(Buffer.from(secret).toString('base64')).sign(
        request.headers['webhook-id'] ?? '',
        new Date(Number(request.headers['webhook-timestamp']) * 1000),
        request.text,
      ),
    }),
  },
  easypost: {
    package: '@easypost/api',
    accepts: (request, secret) => {
      // Its headers are looked up as EasyPost writes them.
      const signature = request.headers['x-hmac-signature'];
      // Its types describe the namespace, not the class that it exports.
      const client = new (EasyPost as unknown as new (key: string) => { Utils: EasyPostUtils })('key');
      return client.Utils.validateWebhook(
        request.body,
        signature === undefined ? {} : { 'X-Hmac-Signature': signature },
        secret,
      );
    },
  },
};
