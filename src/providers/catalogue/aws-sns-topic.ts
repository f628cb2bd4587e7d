// The topics that an SNS source accepts. Their ARN determines the region's hosts, so a message never chooses a host.
import type { KeyObject } from 'node:crypto';
import { parsePublicKey } from '../schemes/public-key.ts';

/** The meaning of an aws-sns secret. */
export interface SnsTopics {
  /** The ARN without the topic's name: `arn:aws:sns:eu-west-1:123456789012:`. */
  account: string;
  /** `*`: every topic of that account and region. */
  name: string;
  /** The host of certificates and confirmations, e.g. `sns.eu-west-1.amazonaws.com`. */
  host: string;
  /** The signer's certificate must have one of these names. */
  signers: readonly string[];
  /** For trials: the public key that signs, in place of Amazon's certificates. */
  pinned?: KeyObject;
}

const arnPattern =
  /^(arn:(aws|aws-cn|aws-us-gov):sns:([a-z]{2}(?:-[a-z]+)+-\d):\d{12}:)(\*|[A-Za-z0-9_-]{1,256}(?:\.fifo)?)$/;

/** `<ARN>`, or `<ARN>;<public key>`. */
export function parseTopics(secret: string): SnsTopics | undefined {
  const [arn = '', key, ...rest] = secret.split(';');
  const match = arnPattern.exec(arn);
  const pinned = key === undefined ? undefined : parsePublicKey(key, 'rsa-sha256', { format: 'spki' });
  if (!match || rest.length > 0 || (key !== undefined && !pinned)) return undefined;
  const [, account = '', partition = '', region = '', name = ''] = match;
  return {
    account,
    name,
    host: `sns.${region}.amazonaws.com${partition === 'aws-cn' ? '.cn' : ''}`,
    signers: signersOf(partition, region),
    ...(pinned ? { pinned } : {}),
  };
}

export function isTopicOf({ account, name }: SnsTopics, topicArn: string): boolean {
  if (!topicArn.startsWith(account) || topicArn.length === account.length) return false;
  return name === '*' ? !topicArn.slice(account.length).includes(':') : topicArn === account + name;
}

export function isCertificateUrl({ host }: SnsTopics, url: string): boolean {
  const start = `https://${host}/`;
  return (
    url.startsWith(start) && /^SimpleNotificationService-[0-9a-f]{16,64}\.pem$/.test(url.slice(start.length))
  );
}

function signersOf(partition: string, region: string): string[] {
  if (partition === 'aws-cn') return [`sns-${region}.amazonaws.com.cn`];
  if (partition === 'aws-us-gov') return ['sns-us-gov-west-1.amazonaws.com'];
  // The older regions share one certificate; each newer region has its own.
  return ['sns.amazonaws.com', `sns-signing.${region}.amazonaws.com`];
}
