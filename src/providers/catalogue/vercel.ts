// Vercel: hex HMAC-SHA1 over the body; event id, type and time in it.
import { header, json, rawBody } from '../parts.ts';
import type { Provider, SampleDraft } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { randomId } from './sample.ts';

export const vercel: Provider = {
  name: 'vercel',
  title: 'Vercel',
  docsUrl: 'https://vercel.com/docs/webhooks/webhooks-api',
  facts:
    'Signature, body, deadline and retries T: Hookdeck and Trigger.dev, which agree (@hookflo/tern says SHA-256, and refuses genuine deliveries). No page of Vercel that tells its retries was found.',
  scheme: hmac({
    hash: 'sha1',
    message: rawBody,
    signature: { at: header('x-vercel-signature'), encoding: 'hex' },
  }),
  secret: textSecret({
    label: 'Webhook secret',
    where: 'Shown once, when the webhook is made: Team Settings → Webhooks (integrations: Client Secret)',
  }),
  idIsSigned: true,
  events: { id: json('id'), topic: json('type'), occurredAt: { at: json('createdAt'), unit: 'ms' } },
  retries: 'Wants a 2xx within 30 s; tries again with growing gaps for up to 24 h.',
  sending: { newId: () => randomId('event_') },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'deployment.succeeded': (draft) => event(draft, deployment()),
    'deployment.error': (draft) => event(draft, deployment()),
    'project.created': (draft) => event(draft, { project: { id: randomId('prj_'), name: 'bell' } }),
    '*': (draft) => event(draft, {}),
  },
};

function deployment(): object {
  return {
    deployment: {
      id: randomId('dpl_'),
      name: 'bell',
      url: 'bell-git-main-ada.vercel.app',
      meta: { githubCommitRef: 'main', githubCommitMessage: 'Ring twice' },
    },
    project: { id: 'prj_bell' },
    target: 'production',
  };
}

function event({ topic, id, now }: SampleDraft, payload: object): object {
  return {
    id,
    type: topic,
    createdAt: now.getTime(),
    payload: { team: { id: 'team_bell' }, user: { id: 'ada' }, ...payload },
    region: 'sfo1',
  };
}
