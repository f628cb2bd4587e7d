// Says, with the remedy, why the database could not be asked.
import { describeError } from '../errors.ts';

export interface DatabaseProblem {
  message: string;
  remedy: string;
}

const correctUrl = 'correct DATABASE_URL';
const trust = 'add ?sslrootcert=<file> or, where that is no option, ?sslmode=no-verify to DATABASE_URL';
const migrate = 'run: postbell migrate';

const byCode: Record<string, readonly [message: string, remedy: string]> = {
  ECONNREFUSED: ['nothing listens at its host and port', 'start Postgres, or correct DATABASE_URL'],
  ENOTFOUND: ['its host is not known', correctUrl],
  EAI_AGAIN: ['its host could not be looked up', 'check the network and its name server'],
  ETIMEDOUT: ['its host does not answer', 'check the network and its firewall'],
  EHOSTUNREACH: ['its host cannot be reached', 'check the network'],
  ECONNRESET: ['the connection was cut', 'does the server want TLS? Add ?sslmode=require to DATABASE_URL'],
  SELF_SIGNED_CERT_IN_CHAIN: ['its certificate is not trusted', trust],
  DEPTH_ZERO_SELF_SIGNED_CERT: ['its certificate is not trusted', trust],
  '08P01': [
    'it refused how we connect',
    'is a transaction pooler (PgBouncer) in front? Set DATABASE_POOLER=true, or give the direct DATABASE_URL',
  ],
  '28P01': ['the password is wrong', correctUrl],
  '28000': [
    'the user may not log in that way',
    'check the name, its rights, and whether the server wants TLS',
  ],
  '3D000': ['there is no database of that name', 'create it, or correct DATABASE_URL'],
  '42501': ['the user lacks the right', "grant it, or connect as the tables' owner"],
  '53300': ['no connection is free', 'end some, or raise max_connections'],
  '57P03': ['it is starting up or shutting down', 'try again in a moment'],
  '42P01': ['its schema is missing or too old', migrate],
  '42703': ['its schema is too old', migrate],
  '3F000': ['its schema is missing', migrate],
};

/** For errors that come from the connection or a missing schema; undefined for any other. */
export function databaseProblem(error: unknown): DatabaseProblem | undefined {
  const cause = firstOf(error);
  const code = (cause as { code?: unknown } | null)?.code;
  if (typeof code === 'string' && Object.hasOwn(byCode, code)) {
    const [message, remedy] = byCode[code]!;
    return { message: `${message} (${code})`, remedy };
  }
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
