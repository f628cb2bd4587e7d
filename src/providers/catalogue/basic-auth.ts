// Basic auth: the team chooses a user name and a password, and every delivery carries both. Nothing is signed.

import type { Provider } from '../provider.ts';
import { credential } from '../schemes/credential.ts';
import { pairSecret } from '../secrets.ts';
import { header } from '../template/parts.ts';

/** The header value for `user:password`. */
export function basicAuthValue(userAndPassword: string): string {
  return `Basic ${Buffer.from(userAndPassword).toString('base64')}`;
}

/** @param where to enter user name and password at the provider */
export function basicAuth(where: string): Pick<Provider, 'scheme' | 'secret'> {
  return {
    scheme: credential({ at: header('authorization'), expected: basicAuthValue, name: 'basic auth' }),
    secret: pairSecret({ label: 'User name and password', names: ['user name', 'password'], where }),
  };
}
