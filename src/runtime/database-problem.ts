// Says, with the remedy, why the database could not be asked.
import { correctUrl, sqlStateRowOf } from '../database/sql-states.ts';
import { describeError } from '../errors.ts';

export interface DatabaseProblem {
  message: string;
  remedy: string;
}

const trust = 'add ?sslrootcert=<file> or, where that is no option, ?sslmode=no-verify to DATABASE_URL';

/** Codes of Node and of TLS; those of Postgres are in `sqlStates`. */
const byCode: Record<string, readonly [message: string, remedy: string]> = {
  ECONNREFUSED: ['nothing listens at its host and port', 'start Postgres, or correct DATABASE_URL'],
  ENOTFOUND: ['its host is not known', correctUrl],
  EAI_AGAIN: ['its host could not be looked up', 'check the network and its name server'],
  ETIMEDOUT: ['its host does not answer', 'check the network and its firewall'],
  EHOSTUNREACH: ['its host cannot be reached', 'check the network'],
  ECONNRESET: ['the connection was cut', 'does the server want TLS? Add ?sslmode=require to DATABASE_URL'],
  SELF_SIGNED_CERT_IN_CHAIN: ['its certificate is not trusted', trust],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['its certificate is not trusted', trust],
};

/** For errors that come from the connection or a missing schema; undefined for any other. */
export function databaseProblem(error: unknown): DatabaseProblem | undefined {
  const cause = firstOf(error);
  const code = (cause as { code?: unknown } | null)?.code;
  if (typeof code === 'string' && Object.hasOwn(byCode, code)) {
    const [message, remedy] = byCode[code]!;
    return { message: `${message} (${code})`, remedy };
  }
  const { problem } = sqlStateRowOf(cause) ?? {};
  if (problem) return { message: `${problem.message} (${code})`, remedy: problem.remedy };
  const { text } = describeError(cause);
  if (/timeout expired|connection timeout|read timeout/i.test(text)) {
    return { message: 'it did not answer in time', remedy: 'check host, network and load' };
  }
  if (/does not support SSL/.test(text)) {
    return { message: 'it does not speak TLS', remedy: 'remove sslmode from DATABASE_URL' };
  }
  return undefined;
}

/** Where a host has several addresses, Node wraps one error per address in an AggregateError without a message. */
export function firstOf(error: unknown): unknown {
  return error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error;
}
