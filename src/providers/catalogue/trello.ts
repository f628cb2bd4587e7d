// Trello: base64 HMAC-SHA1 over the body and then the callback URL; a HEAD tests the URL.
import { bareRequest } from '../handshake.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { header, json, rawBody, url } from '../template/parts.ts';
import { randomId } from './sample.ts';

export const trello: Provider = {
  name: 'trello',
  title: 'Trello',
  docsUrl: 'https://developer.atlassian.com/cloud/trello/guides/rest-api/webhooks/',
  facts:
    'HEAD that wants 200, and the body D: developer.atlassian.com, Trello webhooks. Signature T: n8n, Botpress and others that agree. Retries T.',
  scheme: hmac({
    hash: 'sha1',
    message: [rawBody, url],
    signature: { at: header('x-trello-webhook'), encoding: 'base64' },
  }),
  secret: textSecret({
    label: 'API secret',
    where: 'trello.com/power-ups/admin → your Power-Up → API Key → Secret',
  }),
  idIsSigned: true,
  events: {
    id: json('action.id'),
    topic: json('action.type'),
    occurredAt: { at: json('action.date'), unit: 'iso' },
  },
  handshakes: [bareRequest('HEAD')],
  retries: 'Wants 200; 3 retries, after 30, 60 and 120 s.',
  sending: { newId: () => randomId() },
  answers: { success: [200], failure: { '5xx': 'retried' } },
  samples: {
    createCard: (draft) => action(draft, { list: { id: randomId(), name: 'To ring' } }),
    updateCard: (draft) => action(draft, { old: { closed: false } }),
    commentCard: (draft) => action(draft, { text: 'Rung' }),
    '*': (draft) => action(draft, {}),
  },
};

function action({ topic, id, now }: SampleDraft, more: object): object {
  const board = { id: '4d5ea62fd76aa1136000000c', name: 'Bells', shortLink: 'nC8QJJoZ' };
  return {
    model: { ...board, desc: '', closed: false },
    action: {
      id,
      idMemberCreator: '4ee7df1be582acdec80000ae',
      data: { board, card: { id: randomId(), name: 'The bell', idShort: 1 }, ...more },
      type: topic,
      date: now.toISOString(),
      memberCreator: { id: '4ee7df1be582acdec80000ae', username: 'ada' },
    },
  };
}
