// Google's notification channels (Drive, Calendar): a notification without a body; headers name the channel and the kind of change.

import type { Delivery, Provider } from '../provider.ts';
import { credential } from '../schemes/credential.ts';
import { credentialSecret } from '../secrets.ts';
import { header, json } from '../template/parts.ts';
import { randomId } from './sample.ts';

const tokenHeader = 'x-goog-channel-token';
/** Header and its member of the payload. */
const documentedHeaders = [
  ['x-goog-channel-id', 'channelId'],
  ['x-goog-channel-expiration', 'channelExpiration'],
  ['x-goog-message-number', 'messageNumber'],
  ['x-goog-resource-id', 'resourceId'],
  ['x-goog-resource-uri', 'resourceUri'],
  ['x-goog-resource-state', 'resourceState'],
  ['x-goog-changed', 'changed'],
] as const;

export const googleChannels: Provider = {
  name: 'google-channels',
  title: 'Google Drive and Calendar channels',
  docsUrl: 'https://developers.google.com/workspace/drive/api/guides/push',
  facts:
    'Channel, token and POST D: the page above. Headers, sync with number 1, numbers per channel, exists and not_exists, empty body T: ten public receivers. Codes and retries T: two quotations of developers.google.com/workspace/calendar/api/guides/push. Nothing is signed. The payload is made of the headers, since there is no body.',
  scheme: credential({ at: header(tokenHeader), name: 'token of the channel' }),
  secret: credentialSecret({
    label: 'Channel token',
    format: 'your own choice of 16 to 256 letters and digits',
    where: 'Chosen by you: token of each watch request; its id must be a new one each time',
  }),
  idIsSigned: true,
  body: { extractJson },
  events: {
    id: [json('channelId'), ':', json('messageNumber')],
    topic: json('resourceState'),
  },
  headers: documentedHeaders.map(([name]) => name),
  retries:
    'Wants 200, 201, 202, 204 or 102; only after 500, 502, 503 and 504 it tries again, with growing gaps. Some messages never arrive and channels expire: also read the changes regularly.',
  sending: {
    newId: () => crypto.randomUUID(),
    headers: ({ topic, id }) => ({
      'x-goog-channel-id': id,
      'x-goog-message-number': topic === 'sync' ? '1' : '2',
      'x-goog-resource-id': randomId(),
      'x-goog-resource-uri': 'https://www.googleapis.com/calendar/v3/calendars/primary/events?alt=json',
      'x-goog-resource-state': topic,
    }),
  },
  answers: { failure: { 500: 'retried', 502: 'retried', 503: 'retried', 504: 'retried' } },
  samples: { exists: () => '', sync: () => '', '*': () => '' },
};

function extractJson({ headers }: Delivery): string {
  const members = documentedHeaders.flatMap(([name, member]) => {
    const [value] = headers[name] ?? [];
    return value === undefined ? [] : [[member, value]];
  });
  return JSON.stringify(Object.fromEntries(members));
}
