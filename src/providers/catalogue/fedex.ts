// FedEx Advanced Integrated Visibility: base64 HMAC over the body, no id and no timestamp.

import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { firstOf, header, json, rawBody } from '../template/parts.ts';
import { randomNumber } from './sample.ts';

const scanPath = 'completeTrackResults.0.trackResults.0.scanEvents.0';

export const fedex: Provider = {
  name: 'fedex',
  title: 'FedEx',
  docsUrl: 'https://developer.fedex.com/api/en-us/catalog/shipment-visibility-webhook/docs.html',
  facts:
    'Signature, answers and retries D: developer.fedex.com, shipment visibility webhook. Its prose says hex, its sample and FAQ base64: base64 it is. The place of the scan event follows the Track API shape.',
  scheme: hmac({ message: rawBody, signature: { at: header('fdx-signature'), encoding: 'base64' } }),
  secret: textSecret({
    label: 'Security token',
    format: 'your own choice of at least 16 characters',
    where: 'Chosen by you in the FedEx Developer Portal → Webhooks → your project → Security token',
  }),
  idIsSigned: true,
  events: {
    topic: firstOf(json(`output.${scanPath}.eventType`), json(`${scanPath}.eventType`), json('eventType')),
    occurredAt: { at: firstOf(json(`output.${scanPath}.date`), json(`${scanPath}.date`)), unit: 'iso' },
  },
  retries:
    'Only 200 or 202 count (204 is a failure); 3 retries within minutes, then kept 7 days for manual replay.',
  answers: { success: [200, 202], failure: { any: 'retried' } },
  redelivery: 'by hand in the Developer Portal, for 7 days',
  samples: {
    PU: (draft) => track(draft, 'Picked up'),
    IT: (draft) => track(draft, 'In transit'),
    OD: (draft) => track(draft, 'On FedEx vehicle for delivery'),
    DL: (draft) => track(draft, 'Delivered'),
    '*': (draft) => track(draft, 'Shipment exception'),
  },
};

function track({ topic, now }: SampleDraft, description: string): object {
  const trackingNumber = String(randomNumber(12));
  const scanEvents = [
    {
      date: now.toISOString(),
      eventType: topic,
      eventDescription: description,
      scanLocation: { city: 'MEMPHIS', stateOrProvinceCode: 'TN', countryCode: 'US' },
      derivedStatusCode: topic,
    },
  ];
  return {
    output: {
      completeTrackResults: [
        { trackingNumber, trackResults: [{ trackingNumberInfo: { trackingNumber }, scanEvents }] },
      ],
    },
  };
}
