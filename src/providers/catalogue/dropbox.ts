// Dropbox: hex HMAC over the body, which only names the accounts with changed files; a GET expects its challenge as answer.
import { splitBody } from '../body/batch.ts';
import { queryParam, textAnswer } from '../handshake.ts';
import type { Provider } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import {
  arrival,
  bodyHash,
  computed,
  firstOf,
  header,
  json,
  type Reading,
  rawBody,
} from '../template/parts.ts';
import { randomId } from './sample.ts';

export const dropbox: Provider = {
  name: 'dropbox',
  title: 'Dropbox',
  docsUrl: 'https://www.dropbox.com/developers/reference/webhooks',
  facts:
    'Challenge, its two headers, signature, accounts in one notification, 10 s and retries D: dropbox.com, developers, webhooks (its reference and its older documentation).',
  scheme: hmac({ message: rawBody, signature: { at: header('x-dropbox-signature'), encoding: 'hex' } }),
  secret: textSecret({ label: 'App secret', where: 'dropbox.com/developers/apps → your app → App secret' }),
  // The body says "something changed for this account", without id or time: each delivery is an event. A replay only
  // makes the handler read the changes again.
  idIsSigned: true,
  events: {
    id: firstOf([arrival, ':', json('list_folder.accounts.0')], [arrival, ':', bodyHash]),
    idPerDelivery: true,
    topic: computed(topicOf),
    items: (body) => splitBody(body, 'list_folder.accounts'),
  },
  handshakes: [
    {
      method: 'GET',
      phase: 'unsigned',
      answer: (delivery) => textAnswer(queryParam(delivery, 'challenge')),
    },
  ],
  retries: 'Wants 200 within 10 s; tries again for about ten minutes.',
  answers: { success: [200], failure: { '5xx': 'retried' } },
  redelivery: 'the delivery says only that something changed: list the changes since your last cursor',
  samples: {
    list_folder: () => ({ list_folder: { accounts: [accountId(), accountId()] } }),
    '*': ({ topic }) => ({ [topic]: { accounts: [accountId()] } }),
  },
};

/** The kind of change; Dropbox sends only file changes so far. */
function topicOf(reading: Reading): string | undefined {
  return Object.keys(reading.item ?? reading.decoded?.value ?? {})[0];
}

function accountId(): string {
  return `dbid:${randomId()}`;
}
