// SNS: an RSA signature in the body over some of its fields, by a key in the certificate that the body names.
import { randomUUID, sign, verify } from 'node:crypto';
import { decodeBody, valueAt } from '../body/body.ts';
import type { Delivery, OutgoingRequest, Rejection, Scheme, Source, Verdict } from '../provider.ts';
import { certificateKeys } from '../schemes/certificates.ts';
import { noKey, pinnedKey, withKey } from '../schemes/key-source.ts';
import { perSecret } from '../schemes/per-secret.ts';
import { privateKeyOf } from '../schemes/public-key.ts';
import { decodeBytes } from '../schemes/signature.ts';
import { isCertificateUrl, isTopicOf, parseTopics, type SnsTopics } from './aws-sns-topic.ts';

type Fields = Readonly<Record<string, unknown>>;

/** SNS signs with SHA-1 unless the topic is set to version 2. The body's field names the version; only that version counts. */
const hashes: ReadonlyMap<unknown, string> = new Map([
  ['1', 'sha1'],
  ['2', 'sha256'],
]);
const confirmation = ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type'];
const signedFields: Readonly<Record<string, readonly string[]>> = {
  Notification: ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'],
  SubscriptionConfirmation: confirmation,
  UnsubscribeConfirmation: confirmation,
};
/** Not signed where absent. */
const optionalField = 'Subject';
/** The only field that may have several lines. */
const textField = 'Message';

export function snsSignature(): Scheme {
  return perSecret({ scheme: forOneSecret() });
}

function forOneSecret(): Scheme {
  return {
    summary: 'RSA signature in the body by a certificate of SNS, for one topic or account',
    proofHeaders: [],
    proofParams: [],
    // The signature covers fields of the body, not its bytes.
    signsBody: false,
    signsUrl: false,
    prepare(source) {
      const topics = parseTopics(source.secrets[0] ?? '');
      if (!topics) return () => noKey.find('', new Date(0), 0) as Rejection;
      const signersOf = (url: string) => (isCertificateUrl(topics, url) ? topics.signers : []);
      const keys = topics.pinned ? pinnedKey(topics.pinned) : certificateKeys({ signersOf }, source);
      return (delivery): Verdict | Promise<Verdict> => {
        const read = readSigned(topics, delivery, source);
        if ('ok' in read) return read;
        return withKey(
          keys.find(read.certificateUrl, delivery.receivedAt, delivery.body.length),
          (key): Verdict => {
            const isRight = verify(read.hash, read.message, key, read.signature);
            return isRight ? { ok: true, secretIndex: 0 } : wrong();
          },
        );
      };
    },
    sign(request, source, { now, privateKey }) {
      const topics = parseTopics(source.secrets[0] ?? '');
      if (!topics) throw new Error('the secret does not have the form that this provider uses');
      const fields = completed(request, topics, now);
      const message = messageOf(fields);
      if (typeof message === 'string') throw new Error(`cannot sign for ${source.name}: no ${message}`);
      const hash = hashes.get(fields.SignatureVersion) ?? 'sha256';
      fields.Signature = sign(hash, message, privateKeyOf(privateKey)).toString('base64');
      request.body = Buffer.from(JSON.stringify(fields));
    },
  };
}

interface Signed {
  hash: string;
  message: Buffer;
  signature: Buffer;
  certificateUrl: string;
}

/** All checks that need no certificate. */
function readSigned(topics: SnsTopics, delivery: Delivery, source: Source): Signed | Rejection {
  if (delivery.headers['x-amz-sns-rawdelivery'])
    return missing('raw message delivery is not signed; switch it off in the subscription');
  const { value } = decodeBody(delivery, source);
  const field = (name: string) => valueAt(value, [name]);
  const { TopicArn, SigningCertURL, Signature, SignatureVersion } = {
    TopicArn: field('TopicArn'),
    SigningCertURL: field('SigningCertURL'),
    Signature: field('Signature'),
    SignatureVersion: field('SignatureVersion'),
  };
  if (typeof Signature !== 'string') return missing('missing Signature in the body');
  if (typeof TopicArn !== 'string') return missing('missing TopicArn in the body');
  if (!isTopicOf(topics, TopicArn)) return wrong('it is for another topic');
  if (typeof SigningCertURL !== 'string' || !isCertificateUrl(topics, SigningCertURL))
    return malformed('SigningCertURL is not a certificate of SNS in this region');
  const hash = hashes.get(SignatureVersion);
  if (!hash) return malformed('SignatureVersion is neither 1 nor 2');
  const signature = decodeBytes(Signature, 'base64');
  if (!signature) return malformed('Signature is no base64');
  const message = messageOf(value as Fields);
  if (typeof message === 'string') return missing(`missing ${message} in the body`);
  return { hash, message, signature, certificateUrl: SigningCertURL };
}

/**
 * The signed text, or the field that is missing or has a wrong form. Each name and each value is on its own line, without
 * escaping. Only one field may contain line breaks, so every signed text stands for exactly one set of fields.
 */
function messageOf(fields: Fields): Buffer | string {
  const { Type } = fields;
  const names =
    typeof Type === 'string' && Object.hasOwn(signedFields, Type) ? signedFields[Type] : undefined;
  if (!names) return 'Type that SNS knows';
  let text = '';
  for (const name of names) {
    const value = fields[name];
    if (value === undefined && name === optionalField) continue;
    if (typeof value !== 'string' || (name !== textField && !/^[^\r\n]+$/.test(value))) return name;
    text += `${name}\n${value}\n`;
  }
  return Buffer.from(text);
}

/** A given body that is no SNS message becomes the text of a message. */
function completed(request: OutgoingRequest, topics: SnsTopics, now: Date): Record<string, unknown> {
  const given = parseMessage(request.body) ?? {
    Type: 'Notification',
    Message: request.body.toString('utf8'),
  };
  const name = topics.name === '*' ? lastSegment(given.TopicArn) : topics.name;
  return {
    MessageId: randomUUID(),
    Timestamp: now.toISOString(),
    SignatureVersion: '2',
    ...given,
    TopicArn: topics.account + name,
    SigningCertURL: `https://${topics.host}/SimpleNotificationService-${'0'.repeat(32)}.pem`,
  };
}

function parseMessage(body: Buffer): Fields | undefined {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof valueAt(value, ['Type']) === 'string' ? (value as Fields) : undefined;
  } catch {
    // A body that is no JSON becomes the text of a message.
    return undefined;
  }
}

function lastSegment(arn: unknown): string {
  return typeof arn === 'string' ? (arn.split(':').at(-1) ?? '') : 'postbell-send';
}

function missing(detail: string): Rejection {
  return { ok: false, reason: 'missing_header', detail };
}

function malformed(detail: string): Rejection {
  return { ok: false, reason: 'malformed_signature', detail };
}

function wrong(detail?: string): Rejection {
  return { ok: false, reason: 'wrong_signature', ...(detail === undefined ? {} : { detail }) };
}
