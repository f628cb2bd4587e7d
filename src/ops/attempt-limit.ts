// Limits wrong passwords: per known browser, or else per address, in bounded memory.
import type { IncomingMessage } from 'node:http';
import { BlockList, isIPv4, isIPv6 } from 'node:net';

const windowMs = 60_000;
const maxWrong = 10;
/** Some 2 MB. Beyond it the oldest entry is forgotten. */
const maxKeys = 10_000;

interface Entry {
  wrong: number;
  endsAt: number;
}

export interface AttemptLimit {
  /** The seconds to wait until the next attempt; 0: none. */
  secondsToWait(key: string, now: number): number;
  recordWrong(key: string, now: number): void;
}

/** At most 10 wrong passwords a minute for each key. */
export function createAttemptLimit(): AttemptLimit {
  const entries = new Map<string, Entry>();
  return {
    secondsToWait: (key, now) => {
      const entry = entries.get(key);
      if (!entry || entry.endsAt <= now || entry.wrong < maxWrong) return 0;
      return Math.ceil((entry.endsAt - now) / 1_000);
    },
    recordWrong: (key, now) => {
      const known = entries.get(key);
      if (known && known.endsAt > now) {
        known.wrong++;
        return;
      }
      entries.delete(key); // a Map keeps the order of insertion: the first entry is the oldest
      if (entries.size >= maxKeys) for (const [oldest] of entries) if (entries.delete(oldest)) break;
      entries.set(key, { wrong: 1, endsAt: now + windowMs });
    },
  };
}

const internal = new BlockList();
for (const [network, prefix, family] of [
  ['127.0.0.0', 8, 'ipv4'],
  ['10.0.0.0', 8, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['::1', 128, 'ipv6'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
] as const)
  internal.addSubnet(network, prefix, family);

/**
 * The address that attempts are counted under. A router in front connects from an internal address and appends its client's
 * address to X-Forwarded-For: its last entry counts then, since the others are the client's own words. From any other
 * address the header counts for nothing.
 */
export function addressOf({ socket, headers }: Pick<IncomingMessage, 'socket' | 'headers'>): string {
  const peer = plainAddress(socket.remoteAddress ?? '');
  if (!isInternal(peer)) return networkOf(peer);
  const forwarded = String(headers['x-forwarded-for'] ?? '');
  const last = plainAddress(forwarded.slice(forwarded.lastIndexOf(',') + 1).trim());
  return isIPv4(last) || isIPv6(last) ? networkOf(last) : peer;
}

/** True for a request that came from this machine itself, over plain http. */
export function isFromThisMachine({ socket, headers }: Pick<IncomingMessage, 'socket' | 'headers'>): boolean {
  const peer = plainAddress(socket.remoteAddress ?? '');
  const host = (headers.host ?? '').replace(/:\d+$/, '').toLowerCase();
  return (
    (peer === '::1' || peer.startsWith('127.')) &&
    (host === 'localhost' || host === '[::1]' || /^127(\.\d+){3}$/.test(host)) &&
    headers['x-forwarded-for'] === undefined &&
    headers['x-forwarded-proto'] === undefined
  );
}

/** `::ffff:10.0.0.1` is 10.0.0.1. */
const plainAddress = (address: string) => address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '');

function isInternal(address: string): boolean {
  if (isIPv4(address)) return internal.check(address, 'ipv4');
  return isIPv6(address) && internal.check(address, 'ipv6');
}

/** Of IPv6 the first 64 bits: a single client has all addresses below them. */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail = ''] = address.split('::', 2);
  const front = head.split(':').filter(Boolean);
  const back = tail.split(':').filter(Boolean);
  const zeros = address.includes('::') ? Math.max(0, 8 - front.length - back.length) : 0;
  const groups = [...front, ...Array<string>(zeros).fill('0'), ...back].slice(0, 4);
  return `${groups.map((group) => group.toLowerCase().replace(/^0+(?=.)/, '')).join(':')}::/64`;
}
