// Reads DATABASE_URL as far as `pg` does not, or would only while it connects.
import { readFileSync } from 'node:fs';

const fileParameters = ['sslrootcert', 'sslcert', 'sslkey'] as const;

/** Values of `target_session_attrs` that demand a server which accepts writes. */
const writable = ['read-write', 'primary'];

/** The servers that a URL names. */
export interface DatabaseHosts {
  /** One URL per host, in the order of the hosts. A URL with a single host is returned unchanged. Never empty. */
  urls: readonly [string, ...string[]];
  /** With several hosts: only a server that accepts writes will do (`target_session_attrs`). */
  needsWritable: boolean;
}

/** `new URL` and `pg` know one host; libpq's URLs name several: postgres://user:password@a:5432,b:5433/name */
export function hostsOf(url: string): DatabaseHosts {
  const { before, hosts, after } = partsOf(url);
  const [first, ...others] = hosts.split(',');
  if (others.length === 0) return { urls: [url], needsWritable: false };
  const urlOf = (host = '') => `${before}${host}${after}`;
  return {
    urls: [urlOf(first), ...others.map(urlOf)],
    needsWritable: writable.includes(parametersOf(url).get('target_session_attrs') ?? 'any'),
  };
}

/** The same servers, user and parameters with another database. */
export function withDatabaseName(url: string, name: string): string {
  const { before, hosts, after } = partsOf(url);
  return `${before}${hosts}/${name}${after.replace(/^\/[^?#]*/, '')}`;
}

/** `before`: scheme, user and password. `after`: database and parameters. */
function partsOf(url: string): { before: string; hosts: string; after: string } {
  const [, scheme = '', authority = '', after = ''] = /^([a-z]+:\/\/)([^/?#]*)(.*)$/s.exec(url) ?? [];
  const start = authority.lastIndexOf('@') + 1;
  return { before: scheme + authority.slice(0, start), hosts: authority.slice(start), after };
}

/** The problem of the URL, to follow the variable's name; undefined when the URL is sound. Contains no secret. */
export function problemOfDatabaseUrl(url: string): string | undefined {
  if (!/^postgres(ql)?:\/\//.test(url)) return 'must look like postgres://user:password@host:5432/name';
  const parameters = parametersOf(url);
  const { urls } = hostsOf(url);
  const wrongHost = urls.length > 1 ? urls.findIndex((single) => !isHost(partsOf(single).hosts)) : -1;
  // The host is not quoted: it may be a part of a password that lacks its percent-encoding.
  if (wrongHost >= 0) return `names ${urls.length} hosts; number ${wrongHost + 1} must look like host:5432`;
  const attributes = parameters.get('target_session_attrs') ?? 'any';
  if (urls.length > 1 && attributes !== 'any' && !writable.includes(attributes))
    return 'has a target_session_attrs that Postbell cannot use; use read-write, primary or any';
  // libpq's word for the CAs of the machine.
  if (parameters.get('sslrootcert') === 'system')
    return 'has sslrootcert=system; leave it out: without a file, the public CAs that Node contains are trusted';
  for (const name of fileParameters) {
    const code = readErrorOf(parameters.get(name));
    if (code)
      return `names a file in ${name} that cannot be read (${code}); give the path of a readable file`;
  }
  return undefined;
}

function isHost(text: string): boolean {
  return /^(\[[0-9a-f:.]+\]|[^\s:[\]]+)(:\d{1,5})?$/i.test(text);
}

function parametersOf(url: string): URLSearchParams {
  return new URLSearchParams(/\?([^#]*)/.exec(url)?.[1] ?? '');
}

/** The code of the error of reading the file; undefined if the file is readable, or none is named. */
function readErrorOf(file: string | null): string | undefined {
  if (!file) return undefined;
  try {
    readFileSync(file);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}
