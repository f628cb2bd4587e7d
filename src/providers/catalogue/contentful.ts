// Contentful: an HMAC over a canonical request: method, path, the headers it lists, body.
import { randomBytes } from 'node:crypto';
import { escape as escapeQuery } from 'node:querystring';
import type { OutgoingRequest, Provider, Rejection, SampleDraft, Scheme } from '../provider.ts';
import { hmac } from '../schemes/hmac.ts';
import { textSecret } from '../secrets.ts';
import { bodyHash, computed, firstOf, header, json, type Reading } from '../template/parts.ts';
import { readPart, readText } from '../template/reading.ts';
import { randomId } from './sample.ts';

const signedHeadersName = 'x-contentful-signed-headers';
const timestampHeader = 'x-contentful-timestamp';
const topicHeader = 'x-contentful-topic';
const maxSignedHeaders = 50;
const secretChars = 64;

const signature = hmac({
  message: computed(canonicalRequest),
  signature: { at: header('x-contentful-signature'), encoding: 'hex' },
  // Contentful's library allows 30 s; a sender's clock may differ by more.
  timestamp: { at: header(timestampHeader), unit: 'ms' },
  signs: { body: true },
  readsHeaders: ['content-type', 'x-contentful-*'],
  readsQuery: true,
});

export const contentful: Provider = {
  name: 'contentful',
  title: 'Contentful',
  docsUrl: 'https://www.contentful.com/developers/docs/extensibility/webhooks/request-verification/',
  facts:
    'Canonical request L: npm @contentful/node-apps-toolkit, verifyRequest. Secret and topics D: contentful.com/developers, webhooks. No event id is sent. Retries M.',
  scheme: { ...signature, sign: signListed } satisfies Scheme,
  secret: {
    ...textSecret({
      label: 'Signing secret',
      format: '64 characters, used as text',
      minBytes: secretChars,
      where: 'Space → Settings → Webhooks → Settings → Enable request verification',
    }),
    generate: () => ({ secret: randomBytes(secretChars / 2).toString('hex') }),
  },
  idIsSigned: true,
  events: {
    id: [computed(topicOf), ':', bodyHash],
    topic: computed(topicOf),
    occurredAt: { at: firstOf(json('sys.updatedAt'), json('sys.deletedAt')), unit: 'iso' },
  },
  headers: [topicHeader, 'x-contentful-webhook-name', 'x-contentful-crn', 'x-contentful-event-datetime'],
  retries: 'Wants a 2xx within 30 s; tries again twice, 30 s apart, after a 5xx or 429.',
  sending: {
    contentType: 'application/vnd.contentful.management.v1+json',
    headers: ({ topic }) => ({ [topicHeader]: topic, 'x-contentful-webhook-name': 'Bell' }),
  },
  answers: { failure: { 429: 'retried', '5xx': 'retried' } },
  samples: {
    'ContentManagement.Entry.publish': (draft) => entry(draft),
    'ContentManagement.Entry.unpublish': (draft) => entry(draft),
    '*': (draft) => entry(draft),
  },
};

/** Method, path, `name:value` of the listed headers joined by `;`, body; each on a line of its own. */
function canonicalRequest(reading: Reading): Buffer | Rejection {
  const { delivery, source } = reading;
  const names = listedHeaders(reading);
  if (!Array.isArray(names)) return names;
  const pairs: string[] = [];
  for (const name of names) {
    const value = readPart(header(name), reading);
    if (typeof value !== 'string') return value;
    pairs.push(`${name}:${value.trim()}`);
  }
  const { pathname, search } = new URL(source.webhookUrl ?? delivery.url, 'https://here.invalid');
  const path = search === '' ? pathname : `${pathname}?${escapeQuery(search.slice(1))}`;
  const head = `${delivery.method}\n${encodeUri(path)}\n${pairs.join(';')}\n`;
  return Buffer.concat([Buffer.from(head, 'latin1'), delivery.body]);
}

/** Sorted, as signed. The list must name itself and the time: otherwise a sender could insert an old list or time. */
function listedHeaders(reading: Reading): string[] | Rejection {
  const list = readPart(header(signedHeadersName), reading);
  if (typeof list !== 'string') return list;
  const names = list.split(',').map((name) => name.trim().toLowerCase());
  const isSound =
    names.length <= maxSignedHeaders &&
    new Set(names).size === names.length &&
    names.includes(signedHeadersName) &&
    names.includes(timestampHeader);
  if (!isSound)
    return {
      ok: false,
      reason: 'malformed_signature',
      detail: `${signedHeadersName} does not name all headers that must be signed`,
    };
  return names.sort();
}

/** The topic header only where signed; otherwise the type that the body names. */
function topicOf(reading: Reading): string | undefined {
  const names = listedHeaders(reading);
  if (Array.isArray(names) && names.includes(topicHeader)) return readText(header(topicHeader), reading);
  return readText(json('sys.type'), reading);
}

function signListed(
  request: OutgoingRequest,
  source: Parameters<Scheme['sign']>[1],
  options: Parameters<Scheme['sign']>[2],
) {
  const names = ['content-type', topicHeader, signedHeadersName, timestampHeader].filter(
    (name) =>
      name.startsWith('x-contentful-signed') ||
      name === timestampHeader ||
      request.headers[name] !== undefined,
  );
  request.headers[signedHeadersName] = names.sort().join(',');
  signature.sign(request, source, options);
}

/** A received path may hold characters that no URL can; such a path was not signed. */
function encodeUri(path: string): string {
  return encodeURI(path.toWellFormed());
}

function entry({ id, now }: SampleDraft): object {
  return {
    sys: {
      id: randomId(),
      type: 'Entry',
      version: 3,
      updatedAt: now.toISOString(),
      contentType: { sys: { id: 'bell' } },
    },
    fields: { title: { 'en-US': `Bell ${id}` } },
  };
}
