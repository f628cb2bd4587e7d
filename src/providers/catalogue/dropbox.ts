// Dropbox: hex HMAC over the body, which only says whose files have changed; a GET wants its challenge back.
import { splitBody } from '../batch.ts';
import { valueAt } from '../body.ts';
import { queryParam, textAnswer } from '../handshake.ts';
import { arrival, computed, firstOf, header, json, type Reading, rawBody } from '../parts.ts';
import type { Provider } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { randomId } from './sample.ts';

export const dropbox: Provider = {
  name: 'dropbox',
  title: 'Dropbox',
  docsUrl: 'https://www.dropbox.com/developers/reference/webhooks',
  facts:
    'Challenge, its two headers, signature, accounts in one notification, 10 s and retries D: dropbox.com, developers, webhooks (its reference and its older documentation).',
  scheme: hmac({ message: rawBody, signature: { at: header('x-dropbox-signature'), encoding: 'hex' } }),
  secret: textSecret({ label: 'App secret', where: 'dropbox.com/developers/apps → your app → App secret' }),
  // "Something changed for this account", without id or time: each delivery is an event. A replay asks to look again.
  idIsSigned: true,
  events: {
    id: firstOf([arrival, ':', json('list_folder.accounts.0')], arrival),
    idPerDelivery: true,
    topic: computed(topicOf),
    items: splitAccounts,
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
  redelivery: 'the delivery says only that something changed: go on from your last cursor',
  samples: {
    list_folder: () => ({ list_folder: { accounts: [accountId(), accountId()] } }),
    '*': ({ topic }) => ({ [topic]: { accounts: [accountId()] } }),
  },
};

function splitAccounts(body: unknown): unknown {
  return splitBody(valueAt(body, ['list_folder']), 'accounts')?.map((list_folder) => ({
    ...(body as object),
    list_folder,
  }));
}

/** What to look through; there are file changes only so far. */
function topicOf(reading: Reading): string | undefined {
  return Object.keys(reading.item ?? reading.decoded?.value ?? {})[0];
}

function accountId(): string {
  return `dbid:${randomId()}`;
}
