// Atlassian Connect apps: a JWT whose `qsh` is the hash of method, path and query; the body is not signed.
import { hash } from 'node:crypto';
import type { Delivery, Provider, SampleDraft, Source } from '../provider.ts';
import { jwt } from '../schemes/jwt.ts';
import { textSecret } from '../secrets.ts';
import { firstOf, header, json } from '../template/parts.ts';
import { randomNumber } from './sample.ts';

export const atlassianConnect: Provider = {
  name: 'atlassian-connect',
  title: 'Atlassian Connect',
  docsUrl: 'https://developer.atlassian.com/cloud/jira/platform/understanding-jwt-for-connect-apps/',
  facts:
    'Token and canonical query L: npm atlassian-jwt. Identifier kept over retries T, as for Jira. THE BODY IS NOT SIGNED: anybody who sees a token can send another body with it until it expires, so read the object again by the API before anything depends on it.',
  scheme: jwt({
    at: header('authorization'),
    prefix: 'JWT ',
    computed: { claim: 'qsh', value: queryHash },
    leewaySeconds: 60,
    lifetimeSeconds: 180,
    expires: true,
  }),
  secret: textSecret({
    label: 'Shared secret',
    where:
      "`sharedSecret` of the installation (your app's `installed` callback); its base URL must have no path",
  }),
  idIsSigned: false,
  // A new installation of the app brings a new secret.
  body: { credentials: ['sharedSecret'] },
  events: {
    id: header('x-atlassian-webhook-identifier'),
    topic: firstOf(json('webhookEvent'), json('event'), json('eventType')),
    occurredAt: { at: json('timestamp'), unit: 'ms' },
  },
  headers: ['x-atlassian-webhook-identifier', 'x-atlassian-webhook-retry'],
  retries: 'Wants a 2xx; tries again up to five times within half an hour.',
  sending: {
    newId: () => crypto.randomUUID(),
    headers: ({ id }) => ({ 'x-atlassian-webhook-identifier': id }),
  },
  answers: { failure: { '5xx': 'retried' } },
  samples: {
    'jira:issue_created': (draft) => issueEvent(draft),
    'jira:issue_updated': (draft) => issueEvent(draft),
    '*': (draft) => issueEvent(draft),
  },
};

function issueEvent({ topic, now }: SampleDraft): object {
  const id = String(randomNumber(12));
  return {
    timestamp: now.getTime(),
    webhookEvent: topic,
    issue: { id, key: `BELL-${id}`, fields: { summary: 'Ring twice', status: { name: 'To Do' } } },
  };
}

/** `METHOD&path&sorted query`, as in Atlassian's library: the received query without `jwt`. */
function queryHash({ method, url }: Delivery, { webhookUrl }: Source): string {
  const [received = '', query = ''] = url.split('?', 2);
  // A proxy may have changed the received path; Atlassian signs the path of the configured URL.
  const path = webhookUrl === undefined ? received : new URL(webhookUrl).pathname;
  const canonicalPath = path.replaceAll('&', '%26').replace(/(?<=.)\/$/, '');
  const values = Map.groupBy(new URLSearchParams(query), ([name]) => name);
  values.delete('jwt');
  const pairs = [...values.keys()].sort().map((name) => {
    const sorted = (values.get(name) ?? []).map(([, value]) => value).sort();
    return `${encode(name)}=${sorted.map(encode).join(',')}`;
  });
  return hash('sha256', `${method}&${canonicalPath || '/'}&${pairs.join('&')}`, 'hex');
}

function encode(text: string): string {
  return encodeURIComponent(text.toWellFormed()).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
