// Names the reason why a query failed before it ran, and the remedy.
import { correctUrl, sqlStateRowOf } from '../database/sql-states.ts';
import { describeError } from '../errors.ts';

export interface DatabaseProblem {
  message: string;
  remedy: string;
}

const trust =
  "set sslmode=verify-full&sslrootcert=<file of your platform's CA> in DATABASE_URL, or sslmode=no-verify, which encrypts and verifies nothing (docs/deploy.md, TLS)";
const untrusted = ['its certificate is not trusted', trust] as const;
const outOfDate = 'correct the clock of this machine, or renew the certificate of the server';

/** Codes of Node and of TLS; Postgres' codes are in `sqlStates`. */
const byCode: Record<string, readonly [message: string, remedy: string]> = {
  ECONNREFUSED: ['no server listens at its host and port', 'start Postgres, or correct DATABASE_URL'],
  ENOTFOUND: ['its host name is unknown', correctUrl],
  EAI_AGAIN: ['its host could not be looked up', 'check the network and its name server'],
  ETIMEDOUT: ['its host does not answer', 'check the network and its firewall'],
  EHOSTUNREACH: ['its host cannot be reached', 'check the network'],
  ECONNRESET: [
    'the connection was cut',
    'if the server requires TLS, set sslmode=verify-full in DATABASE_URL (docs/deploy.md, TLS)',
  ],
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  UNABLE_TO_GET_ISSUER_CERT: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  CERT_SIGNATURE_FAILURE: untrusted,
  ERR_TLS_CERT_ALTNAME_INVALID: [
    'its certificate has another host name than DATABASE_URL',
    'use the host name of the certificate, or set sslmode=no-verify, which encrypts and verifies nothing (docs/deploy.md, TLS)',
  ],
  CERT_HAS_EXPIRED: ['its certificate has expired', outOfDate],
  CERT_NOT_YET_VALID: ['its certificate is not valid yet', outOfDate],
};

/** Undefined for errors that come neither from the connection nor from a missing schema. */
export function databaseProblem(error: unknown): DatabaseProblem | undefined {
  const cause = firstOf(error);
  const code = (cause as { code?: unknown } | null)?.code;
  if (typeof code === 'string' && Object.hasOwn(byCode, code)) {
    const [message, remedy] = byCode[code]!;
    return { message: `${message} (${code})`, remedy };
  }
  const { problem } = sqlStateRowOf(cause) ?? {};
  if (problem && code === '42501')
    return { message: `${problem.message}: ${describeError(cause).text}`, remedy: problem.remedy };
  if (problem) return { message: `${problem.message} (${code})`, remedy: problem.remedy };
  const { text } = describeError(cause);
  if (/timeout expired|connection timeout|read timeout/i.test(text)) {
    return { message: 'it did not answer in time', remedy: 'check host, network and load' };
  }
  if (/does not support SSL/.test(text)) {
    return { message: 'it does not speak TLS', remedy: 'set sslmode=disable in DATABASE_URL' };
  }
  return undefined;
}

/** Where a host has several addresses, Node wraps one error per address in an AggregateError without a message. */
export function firstOf(error: unknown): unknown {
  return error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error;
}
