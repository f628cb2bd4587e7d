// Telegram bots: nothing is signed; the secret token of setWebhook comes back in a header, and `update_id` tells updates apart.
import { valueAt } from '../body/body.ts';
import type { Provider, SampleDraft, SecretSpec } from '../provider.ts';
import { credential } from '../schemes/credential.ts';
import { credentialSecret } from '../secrets.ts';
import { computed, firstOf, header, json, type Reading } from '../template/parts.ts';
import { randomNumber, unixSeconds } from './sample.ts';

const plain = credentialSecret({
  label: 'secret_token',
  format: 'your own choice of 16 to 256 letters, digits, _ and -',
  where: 'Chosen by you: secret_token of the setWebhook call; one source for each bot',
});

const secret: SecretSpec = {
  ...plain,
  check: (text) =>
    plain.check(text) ??
    (/^[\w-]{1,256}$/.test(text) ? undefined : 'may hold only letters, digits, _ and -, at most 256'),
};

export const telegram: Provider = {
  name: 'telegram',
  title: 'Telegram bots',
  docsUrl: 'https://core.telegram.org/bots/api#setwebhook',
  facts:
    "Header, body, what counts as success, Retry-After, 410 and `method` in an answer L: tdlib/telegram-bot-api, WebhookActor.cpp, which is Telegram's own server. Form of the token T: several libraries. Kinds and ids of updates, dates of messages T: npm @grammyjs/types, which quotes the documentation. Ids count per bot, and nothing in an update names the bot: two bots at one source would take updates from each other.",
  scheme: credential({ at: header('x-telegram-bot-api-secret-token'), name: 'secret token' }),
  secret,
  idIsSigned: true,
  events: {
    id: json('update_id'),
    topic: computed(kindOf),
    occurredAt: {
      at: firstOf(
        json('message.date'),
        json('edited_message.edit_date'),
        json('channel_post.date'),
        json('edited_channel_post.edit_date'),
        json('my_chat_member.date'),
        json('chat_member.date'),
        json('chat_join_request.date'),
      ),
      unit: 's',
    },
  },
  retries:
    'Wants a 2xx; after any other answer it tries again, after Retry-After (at most 1 h) or with doubled gaps, for 24 h, and delays the later updates of that chat. Only 410 for 23 h ends the webhook. Our answer holds no `method`, so Telegram never takes it for a call.',
  sending: { newId: () => String(randomNumber(9)) },
  answers: { failure: { 410: 'switches-off', any: 'retried' } },
  samples: {
    message: (draft) => update(draft, { message_id: randomNumber(4), text: 'Ring', ...place(draft) }),
    edited_message: (draft) =>
      update(draft, {
        message_id: randomNumber(4),
        text: 'Ring twice',
        ...place(draft),
        edit_date: unixSeconds(draft.now),
      }),
    callback_query: (draft) =>
      update(draft, { id: String(randomNumber(14)), from: person, chat_instance: '1', data: 'ring' }),
    '*': (draft) => update(draft, { id: String(randomNumber(14)), from: person }),
  },
};

const person = { id: 1111111, is_bot: false, first_name: 'Ada', language_code: 'en' };

/** An update has one member beside its id; it says which kind it is. */
function kindOf({ decoded }: Reading): string | undefined {
  const value = decoded?.value;
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.keys(value).find((key) => key !== 'update_id' && valueAt(value, [key]) !== null);
}

function place({ now }: SampleDraft): object {
  return {
    from: person,
    chat: { id: 1111111, type: 'private', first_name: 'Ada' },
    date: unixSeconds(now),
  };
}

function update({ topic, id }: SampleDraft, content: object): object {
  return { update_id: /^\d{1,15}$/.test(id) ? Number(id) : id, [topic]: content };
}
