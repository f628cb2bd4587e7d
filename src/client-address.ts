// The address of a request's client, for limits per client.
import type { IncomingMessage } from 'node:http';
import { BlockList, isIPv4, isIPv6 } from 'node:net';

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
 * The address that a client is counted under. A router in front connects from an internal address and appends its client's
 * address to X-Forwarded-For: its last entry counts then, since the others are the client's own words. From any other
 * address the header counts for nothing.
 */
export function addressOf({ socket, headers }: Pick<IncomingMessage, 'socket' | 'headers'>): string {
  return clientAddress(socket.remoteAddress ?? '', String(headers['x-forwarded-for'] ?? ''));
}

/**
 * The same from its parts.
 * @param peer undefined: the host's server does not tell who connects, and the header's last entry counts; empty without it
 * @param forwardedFor every value of X-Forwarded-For, joined by commas
 */
export function clientAddress(peer: string | undefined, forwardedFor: string): string {
  const plain = peer === undefined ? '' : plainAddress(peer);
  if (peer !== undefined && !isInternal(plain)) return networkOf(plain);
  const last = plainAddress(forwardedFor.slice(forwardedFor.lastIndexOf(',') + 1).trim());
  return isIPv4(last) || isIPv6(last) ? networkOf(last) : plain;
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

/** The first 64 bits of an IPv6 address: a single client has all addresses below this prefix. */
function networkOf(address: string): string {
  if (!isIPv6(address)) return address;
  const [head = '', tail = ''] = address.split('::', 2);
  const front = head.split(':').filter(Boolean);
  const back = tail.split(':').filter(Boolean);
  const zeros = address.includes('::') ? Math.max(0, 8 - front.length - back.length) : 0;
  const groups = [...front, ...Array<string>(zeros).fill('0'), ...back].slice(0, 4);
  return `${groups.map((group) => group.toLowerCase().replace(/^0+(?=.)/, '')).join(':')}::/64`;
}
