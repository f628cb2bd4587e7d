// UPS Track Alert: nothing is signed. v2 fetches a token from Postbell and sends it; v1 sends a credential of each subscription.
import { createHmac } from 'node:crypto';
import { sameText } from '../equal.ts';
import { jsonAnswer } from '../handshake.ts';
import type { Delivery, HandshakeAnswer, Provider, SampleDraft, Source } from '../provider.ts';
import { alternatives } from '../schemes/alternatives.ts';
import { credential } from '../schemes/credential.ts';
import { credentialSecret, pairSecret, type SecretText } from '../secrets.ts';
import { computed, header, json, type Reading } from '../template/parts.ts';
import { readText } from '../template/reading.ts';
import { basicAuthValue } from './basic-auth.ts';
import { randomNumber } from './sample.ts';

/** UPS then fetches a new token; a token itself stays valid as long as its secret. */
const tokenSeconds = 3_600;

const secretText: SecretText = {
  label: 'Client ID and secret',
  format: 'client_id:client_secret of your own choice, at least 16 letters and digits (v1: needs no colon)',
  where:
    'Chosen by you: developer.ups.com → Manage Webhook Credentials; its token URL is the URL of the webhook itself (v1: the whole is destination.credential of each subscription)',
};

export const ups: Provider = {
  name: 'ups',
  title: 'UPS Track Alert',
  docsUrl: 'https://developer.ups.com/api/reference/trackalert',
  facts:
    'v2 asks a token URL of yours by client credentials, with basic auth, and sends the token as Bearer; body, times and status; v1 and its credential header: D: UPS-API/api-documentation, UPSTrackAlert.yaml of both versions. Our own URL is that token URL. That a v2 without OAuth exists D: the same, what it sends is not documented. Retries D: events are lost while the endpoint is not reached. No id is sent, and the same scan may be told again with a photo or another date: the hash of the body is the id.',
  scheme: alternatives(
    {
      headers: ['authorization'],
      scheme: credential({
        at: header('authorization'),
        name: 'Bearer token',
        expected: (secret) => `Bearer ${tokenOf(secret)}`,
      }),
    },
    { headers: [], scheme: credential({ at: header('credential'), name: 'credential' }) },
  ),
  secret: {
    ...credentialSecret(secretText),
    generate: pairSecret({ ...secretText, names: ['client_id', 'client_secret'] }).generate,
  },
  idIsSigned: true,
  events: {
    topic: [json('activityStatus.type'), '.', json('activityStatus.code')],
    occurredAt: { at: computed(activityTime), unit: 'iso' },
  },
  handshakes: [{ method: 'POST', phase: 'unsigned', answer: answerTokenRequest }],
  retries:
    'Wants 200; no known retries: an event that does not arrive is lost, so also read the Track API regularly.',
  answers: { success: [200], failure: { any: 'final' } },
  redelivery: 'no; ask the Track API for the shipment',
  samples: {
    'I.OR': (draft) => scan(draft, 'On the Way'),
    'D.FS': (draft) => scan(draft, 'Delivered'),
    '*': (draft) => scan(draft, 'Update'),
  },
};

/** A token that needs no storage: computed from the secret, without revealing the secret. */
function tokenOf(secret: string): string {
  return createHmac('sha256', secret).update('postbell: UPS access token').digest('hex');
}

/** Answers a correct OAuth client-credentials request. Any other request is treated as a delivery and rejected. */
function answerTokenRequest(delivery: Delivery, source: Source): HandshakeAnswer | undefined {
  if (
    delivery.body.length > 1_024 ||
    !/(^|&)grant_type=client_credentials(&|$)/.test(delivery.body.toString())
  )
    return undefined;
  const [asked, second] = delivery.headers.authorization ?? [];
  if (asked === undefined || second !== undefined) return undefined;
  const known = source.secrets.find((secret) => sameText(basicAuthValue(secret), asked));
  if (known === undefined) return undefined;
  return jsonAnswer({ access_token: tokenOf(known), token_type: 'Bearer', expires_in: tokenSeconds });
}

/** `20240423` and `135004`, GMT. */
function activityTime(reading: Reading): string | undefined {
  const date = readText(json('gmtActivityDate'), reading) ?? '';
  const time = readText(json('gmtActivityTime'), reading) ?? '';
  const found = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)$/.exec(`${date}T${time}`);
  return found ? `${found[1]}-${found[2]}-${found[3]}T${found[4]}:${found[5]}:${found[6]}Z` : undefined;
}

function scan({ topic, now }: SampleDraft, description: string): object {
  const [type, code] = topic.split('.');
  const [date, time] = now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').split('T');
  return {
    trackingNumber: `1Z${randomNumber(14)}`,
    localActivityDate: date,
    localActivityTime: time,
    activityLocation: { city: 'Charlotte', stateProvince: 'NC', postalCode: '', country: 'US' },
    activityStatus: { type, code, description, descriptionCode: '005' },
    scheduledDeliveryDate: date,
    actualDeliveryDate: '',
    actualDeliveryTime: '',
    gmtActivityDate: date,
    gmtActivityTime: time,
    deliveryStartTime: '',
    deliveryEndTime: '',
    deliveryTimeDescription: 'end of day',
  };
}
