// UPS Track Alert: nothing is signed; the credential given in the subscription comes back in a header of its own.
import { computed, header, json, type Reading } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { readText } from '../reading.ts';
import { credential } from '../schemes/credential.ts';
import { credentialSecret } from '../secrets.ts';
import { randomNumber } from './sample.ts';

export const ups: Provider = {
  name: 'ups',
  title: 'UPS Track Alert (v1)',
  docsUrl: 'https://developer.ups.com/api/reference/trackalert',
  facts:
    'Header, body, times and status D: UPS-API/api-documentation, UPSTrackAlert.yaml (v1). Version 2 asks for a token endpoint of yours and is not covered. Retries D: events are lost while the endpoint is not reached. No id is sent.',
  scheme: credential({ at: header('credential'), name: 'credential' }),
  secret: credentialSecret({
    label: 'Credential',
    format: 'your own choice of at least 16 letters and digits',
    where: 'Chosen by you: destination.credential of each subscription request (credentialType: any)',
  }),
  idIsSigned: true,
  events: {
    id: [
      json('trackingNumber'),
      ':',
      json('gmtActivityDate'),
      json('gmtActivityTime'),
      ':',
      json('activityStatus.type'),
      json('activityStatus.code'),
    ],
    topic: [json('activityStatus.type'), '.', json('activityStatus.code')],
    occurredAt: { at: computed(activityTime), unit: 'iso' },
  },
  retries: 'Wants 200. None that is known: what does not arrive is lost, so ask the Track API now and then.',
  answers: { success: [200], failure: { any: 'final' } },
  redelivery: 'no; ask the Track API for the shipment',
  samples: {
    'I.OR': (draft) => scan(draft, 'On the Way'),
    'D.FS': (draft) => scan(draft, 'Delivered'),
    '*': (draft) => scan(draft, 'Update'),
  },
};

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
