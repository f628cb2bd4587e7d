// What handlers do although they should not, and errors that are hard to keep: see F36 and F37.
import type { HandlerContext } from '../../src/handlers/handler.ts';
import { canary } from './sender.ts';

type Context = Omit<HandlerContext<unknown>, 'readBody'>;

/** Each runs after the effect was written. */
export const misuses: Record<string, (context: Context) => Promise<unknown>> = {
  rollback: async ({ tx }) => tx.query('ROLLBACK'),
  commit: async ({ tx }) => tx.query('COMMIT'),
  begin: async ({ tx }) => tx.query('BEGIN'),
  'hidden-commit': async ({ tx }) => tx.query('SELECT 1; COMMIT'),
  'commented-commit': async ({ tx }) => tx.query('/* a */ -- b\n COMMIT'),
  'caught-commit': async ({ tx }) => tx.query('COMMIT').catch(() => undefined),
  swallow: async ({ tx }) => tx.query('SELECT 1/0').catch(() => undefined),
  late: async ({ tx }) => {
    setTimeout(() => {
      void tx.query(`INSERT INTO effects (event_id, attempt_id, pid) VALUES ('late', gen_random_uuid(), 0)`);
    }, 20);
  },
  'not-awaited': async ({ tx }) => {
    void tx.query('SELECT no_such_function()');
  },
  savepoint: async ({ tx }) => {
    await tx.query('SAVEPOINT a');
    await tx.query('SELECT 1/0').catch(() => undefined);
    await tx.query('ROLLBACK TO SAVEPOINT a');
  },
  undefined: async () => undefined,
  bigint: async () => 1n,
  circular: async () => {
    const value: Record<string, unknown> = {};
    value.self = value;
    return value;
  },
  large: async () => Buffer.alloc(256 * 1_048_576),
};

/** Of these: what may end PROCESSED. */
export const harmless: ReadonlySet<string> = new Set([
  'late',
  'savepoint',
  'undefined',
  'bigint',
  'circular',
  'large',
]);

/** Made anew for each throw. */
export const badErrors: Record<string, () => unknown> = {
  nul: () => new Error('a NUL \0 in it'),
  surrogate: () => new Error('half a pair \ud800 in it'),
  huge: () => new Error('x'.repeat(50_000_000)),
  'circular-cause': () => {
    const error = new Error('its own cause');
    error.cause = error;
    return error;
  },
  null: () => null,
  text: () => 'a text was thrown',
  'secret-property': () =>
    Object.assign(new Error('request failed'), { config: { headers: { authorization: canary } } }),
  'getter-throws': () =>
    Object.defineProperty(new Error('?'), 'message', {
      get: () => {
        throw new Error('from the getter');
      },
    }),
};
