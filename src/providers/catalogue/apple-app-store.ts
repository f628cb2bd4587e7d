// Apple's App Store Server Notifications, version 2: the body holds a JWS, and its claims are the event.

import type { Delivery, Provider, SampleDraft, SecretSpec } from '../provider.ts';
import { generateKeyPair } from '../public-key-secrets.ts';
import { parseToken } from '../schemes/token.ts';
import { json, optional } from '../template/parts.ts';
import { appStoreScheme, parseApp, pinnedKey, signedPayloadOf } from './apple-app-store-signature.ts';

const sampleBundle = 'com.example.bell';

const secret: SecretSpec = {
  label: 'Bundle ID and environment',
  format:
    'com.example.app for Production, com.example.app:Sandbox (no secret: the app whose notifications are accepted); for trials followed by ; and a public key',
  where: 'App Store Connect → your app → App Information → Bundle ID; the URL beneath, Version 2',
  check(text) {
    if (text.trim() === '') return 'is empty; set it, or remove the variable to turn the source off';
    const app = parseApp(text);
    if (!app) return 'is no bundle ID; use the form com.example.app or com.example.app:Sandbox';
    return app.pinned !== undefined && !pinnedKey(app.pinned) ? 'has no public key after the ;' : undefined;
  },
  generate() {
    const pair = generateKeyPair('ecdsa-p256', { format: 'spki' });
    return { ...pair, secret: `${sampleBundle};${pair.secret}` };
  },
};

export const appleAppStore: Provider = {
  name: 'apple-app-store',
  title: 'Apple App Store',
  docsUrl: 'https://developer.apple.com/documentation/appstoreservernotifications',
  facts:
    "JWS, chain of three, its two extensions, bundle ID and environment, where they stand L: npm @apple/app-store-server-library, SignedDataVerifier. Body, answers and retries D: developer.apple.com, responseBodyV2 and Responding to App Store Server Notifications; that 400 ends the retries since March 2026 T: one report in Apple's forum. Fingerprint of the root L: its tests hold Apple's real chain; ten public receivers name the same. Not asked: whether Apple revoked a certificate (their library does by OCSP, if told to). What the claims hold signed in turn (signedTransactionInfo) is stored as it is. Version 1 is not accepted.",
  scheme: appStoreScheme,
  secret,
  idIsSigned: true,
  body: { extractJson },
  events: {
    id: json('notificationUUID'),
    topic: [json('notificationType'), optional('.', json('subtype'))],
    occurredAt: { at: json('signedDate'), unit: 'ms' },
  },
  retries:
    'Wants 200 to 206; tries again 5 times, 1, 12, 24, 48 and 72 h after the try before; in the sandbox never. Get missing notifications with Get Notification History.',
  sending: { newId: () => crypto.randomUUID() },
  samples: {
    'SUBSCRIBED.INITIAL_BUY': (draft) => notification(draft),
    DID_RENEW: (draft) => notification(draft),
    'DID_CHANGE_RENEWAL_STATUS.AUTO_RENEW_DISABLED': (draft) => notification(draft),
    REFUND: (draft) => notification(draft),
    '*': (draft) => notification(draft),
  },
};

function extractJson({ body }: Delivery): string | undefined {
  const payload = parseToken(signedPayloadOf(body) ?? '')?.parts[1];
  return payload === undefined ? undefined : Buffer.from(payload, 'base64url').toString('utf8');
}

function notification({ topic, id, now }: SampleDraft): object {
  const [notificationType, subtype] = topic.split('.');
  return {
    notificationType,
    ...(subtype === undefined ? {} : { subtype }),
    notificationUUID: id,
    version: '2.0',
    signedDate: now.getTime(),
    data: {
      appAppleId: 1234567890,
      bundleId: sampleBundle,
      bundleVersion: '1.2.3',
      environment: 'Production',
      signedTransactionInfo: 'e30.e30.e30',
      status: 1,
    },
  };
}
