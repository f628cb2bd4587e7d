// Slack: `v0=` hex HMAC over `v0:timestamp:body`; events as JSON, commands and interactions as forms.
import { emptyAnswer, signedChallenge } from '../handshake.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { firstOf, header, json, rawBody, timestamp } from '../template/parts.ts';
import { randomId, unixSeconds } from './sample.ts';

export const slack: Provider = {
  name: 'slack',
  title: 'Slack',
  docsUrl: 'https://docs.slack.dev/authentication/verifying-requests-from-slack',
  facts: 'Signature and handshake L: npm @slack/bolt. Event id T. Retries T/M.',
  scheme: hmac({
    message: ['v0:', timestamp, ':', rawBody],
    signature: { at: header('x-slack-signature'), encoding: 'hex', prefix: 'v0=' },
    timestamp: { at: header('x-slack-request-timestamp'), unit: 's' },
  }),
  secret: textSecret({ label: 'Signing secret', where: 'api.slack.com/apps → your app → Basic Information' }),
  idIsSigned: true,
  // The older verification token: some receivers still accept it as proof.
  body: { form: 'flat', jsonField: 'payload', credentials: ['token'] },
  events: {
    // Slack promises no stable id for commands and interactions: the hash of the body is the id.
    id: json('event_id'),
    topic: firstOf(json('event.type'), json('command'), json('type')),
    occurredAt: { at: json('event_time'), unit: 's' },
  },
  headers: ['x-slack-request-timestamp', 'x-slack-retry-num', 'x-slack-retry-reason'],
  handshakes: [signedChallenge({ path: 'type', is: 'url_verification' }, 'challenge')],
  // A modal takes any body for instructions, and would show its user an error.
  acceptedAnswer: emptyAnswer(),
  retries: 'Wants a 2xx within 3 s; 3 retries, counted in X-Slack-Retry-Num.',
  sending: { newId: () => randomId('Ev') },
  // These facts concern events: Slack does not send commands and interactions again.
  answers: { failure: { any: 'retried' } },
  setup: { url: 'api.slack.com/apps → your app → Event Subscriptions → Request URL' },
  samples: {
    app_mention: (draft) =>
      callback(draft, { user: 'U0LAN0Z89', text: '<@U0LAN0Z90> ring', channel: 'C0LAN2Q65' }),
    message: (draft) => callback(draft, { user: 'U0LAN0Z89', text: 'Ring the bell', channel: 'C0LAN2Q65' }),
    reaction_added: (draft) => callback(draft, { user: 'U0LAN0Z89', reaction: 'bell' }),
    '/bell': ({ topic }) =>
      new URLSearchParams({
        command: topic,
        text: 'ring twice',
        team_id: 'T0001',
        channel_id: 'C0LAN2Q65',
        user_id: 'U0LAN0Z89',
        trigger_id: randomId(),
        response_url: 'https://hooks.slack.com/commands/1234/5678',
      }),
    block_actions: ({ topic }) =>
      new URLSearchParams({
        payload: JSON.stringify({
          type: topic,
          user: { id: 'U0LAN0Z89' },
          trigger_id: randomId(),
          actions: [{ action_id: 'ring', block_id: 'bell', type: 'button', value: '1' }],
        }),
      }),
    url_verification: ({ topic }) => ({ type: topic, token: randomId(), challenge: randomId() }),
    '*': (draft) => callback(draft, {}),
  },
};

function callback({ topic, id, now }: SampleDraft, event: object): object {
  const seconds = unixSeconds(now);
  return {
    type: 'event_callback',
    team_id: 'T0001',
    api_app_id: 'A0001',
    event_id: id,
    event_time: seconds,
    event: { type: topic, ...event, ts: `${seconds}.000100`, event_ts: `${seconds}.000100` },
  };
}
