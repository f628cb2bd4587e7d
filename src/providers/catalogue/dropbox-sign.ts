// Dropbox Sign: a multipart form whose field `json` holds the event, with an HMAC of its time and type in it.
import { createHmac } from 'node:crypto';
import { valueAt } from '../body/body.ts';
import { multipartBody, multipartField } from '../body/multipart.ts';
import type {
  Delivery,
  HandshakeAnswer,
  OutgoingRequest,
  Provider,
  SampleDraft,
  Scheme,
  Source,
} from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { type Computed, computed, firstOf, json, optional, type Reading } from '../template/parts.ts';
import { readText } from '../template/reading.ts';
import { randomId, unixSeconds } from './sample.ts';

const jsonFieldName = 'json';
/** Dropbox Sign takes any other answer for a failure. */
const eventReceivedAnswer: HandshakeAnswer = {
  status: 200,
  contentType: 'text/plain; charset=utf-8',
  body: 'Hello API Event Received',
};

const signature = hmac({
  message: computed(signedEvent),
  signature: { at: json('event.event_hash'), encoding: 'hex' },
});

export const dropboxSign: Provider = {
  name: 'dropbox-sign',
  title: 'Dropbox Sign',
  docsUrl: 'https://developers.hellosign.com/docs/events/walkthrough/',
  facts:
    'Hash L: npm @dropbox/sign, EventCallbackHelper.isValid. Form, answer and retries D: developers.hellosign.com. ONLY TIME AND TYPE ARE SIGNED: anybody who saw one event can send any body with its hash, so read the signature request again by the API before anything depends on it.',
  scheme: { ...signature, sign: signForm } satisfies Scheme,
  secret: textSecret({
    label: 'API key',
    where: 'app.hellosign.com → API → API keys (the primary one signs)',
  }),
  idIsSigned: false,
  body: {
    extractJson: ({ headers, body }) => multipartField({ headers, body }, jsonFieldName),
    credentials: ['event.event_hash'],
  },
  events: {
    // All events of one type within one second have the same signed text.
    id: [
      computed(signedEvent),
      ':',
      firstOf(
        json('signature_request.signature_request_id'),
        json('template.template_id'),
        json('account_guid'),
      ),
      optional(':', json('event.event_metadata.related_signature_id')),
    ],
    // A second event of the same type in the same second looks like a replay, and is stored as a replay.
    signedToken: computed(signedEvent),
    topic: json('event.event_type'),
    occurredAt: { at: json('event.event_time'), unit: 's' },
  },
  handshakes: [{ method: 'POST', phase: 'verified', answer: answerTest }],
  acceptedAnswer: eventReceivedAnswer,
  retries: 'Wants 200 with its fixed text; tries again with growing gaps for about 3 days.',
  answers: { success: [200], failure: { '5xx': 'retried' } },
  samples: {
    signature_request_signed: (draft) => event(draft),
    signature_request_all_signed: (draft) => event(draft),
    '*': (draft) => event(draft),
  },
};

/** Time and type without separator, as signed. The type must not begin with a digit. */
function signedEvent(reading: Reading): Computed {
  const time = readText(json('event.event_time'), reading);
  const type = readText(json('event.event_type'), reading);
  if (time === undefined || type === undefined) return undefined;
  if (/^\d{1,15}$/.test(time) && /^[a-z][\w.]*$/i.test(type)) return time + type;
  return {
    ok: false,
    reason: 'malformed_signature',
    detail: 'the boundary between event_time and event_type is not certain',
  };
}

/** Dropbox Sign sends this test when the URL is entered. */
function answerTest(delivery: Delivery): HandshakeAnswer | undefined {
  const text = multipartField(delivery, jsonFieldName);
  if (text === undefined || !text.includes('"callback_test"')) return undefined;
  try {
    return valueAt(JSON.parse(text), ['event', 'event_type']) === 'callback_test'
      ? eventReceivedAnswer
      : undefined;
  } catch {
    // No test request: the delivery is an event, stored as malformed.
    return undefined;
  }
}

/** Writes the hash into the JSON, and the JSON into a form, unless a given body is a form already. */
function signForm(request: OutgoingRequest, source: Source): void {
  const { body } = request;
  const given = body[0] === 45 ? formText(body) : body.toString('utf8');
  const value = JSON.parse(given ?? '') as { event?: Record<string, unknown> };
  const { event_time = '', event_type = '' } = value.event ?? {};
  const mac = createHmac('sha256', source.secrets[0] ?? '').update(`${event_time}${event_type}`);
  const event = { ...value.event, event_hash: mac.digest('hex') };
  const form = multipartBody(jsonFieldName, JSON.stringify({ ...value, event }));
  request.headers = { ...request.headers, 'content-type': form.contentType };
  request.body = form.body;
}

function formText(body: Buffer): string | undefined {
  const boundary = body.toString('latin1', 2, body.indexOf('\r\n'));
  return multipartField(
    { headers: { 'content-type': [`multipart/form-data; boundary=${boundary}`] }, body },
    jsonFieldName,
  );
}

function event({ topic, now }: SampleDraft): object {
  const account = randomId();
  return {
    event: {
      event_type: topic,
      event_time: String(unixSeconds(now)),
      event_hash: '',
      event_metadata: { related_signature_id: randomId(), reported_for_account_id: account },
    },
    account_guid: account,
    signature_request: { signature_request_id: randomId(), title: 'Bell lease', is_complete: false },
  };
}
