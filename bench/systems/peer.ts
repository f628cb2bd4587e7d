// What the peers have in common: their entry programs, the table of webhooks, the environment.
import { fileURLToPath } from 'node:url';
import { stripeSecret } from '../load/requests.ts';
import { effectsTable, type Run, type Session, type System } from './system.ts';

/** What a team writes that keeps webhooks in a table of its own. */
const webhooksTable = `
  CREATE TABLE webhooks (
    event_id text PRIMARY KEY,
    topic text NOT NULL,
    payload jsonb NOT NULL,
    status text NOT NULL DEFAULT 'PENDING',
    received_at timestamptz NOT NULL DEFAULT now()
  )`;

export const program = (name: string) => fileURLToPath(new URL(`../peers/${name}.ts`, import.meta.url));

export function environment({
  databaseUrl,
  redisUrl,
}: Pick<Run, 'databaseUrl' | 'redisUrl'>): Record<string, string> {
  return {
    NODE_ENV: 'production',
    DATABASE_URL: databaseUrl,
    STRIPE_WEBHOOK_SECRET: stripeSecret,
    ...(redisUrl ? { REDIS_URL: redisUrl } : {}),
  };
}

export async function makeTables({ cluster }: Session, name: string): Promise<void> {
  await cluster.within(name, async (query) => {
    await query(webhooksTable);
    await query(effectsTable);
  });
}

export const web =
  (name: string): System['web'] =>
  (run, port) => ({
    args: [program(`${name}-web`)],
    env: { ...environment(run), PORT: String(port) },
  });

export async function countWebhooks({ cluster, database }: Run): Promise<number> {
  const [row] = await cluster.within(database, (query) =>
    query<{ count: number }>('SELECT count(*)::int AS count FROM webhooks'),
  );
  return row!.count;
}

export function workerOf(
  system: string,
  name: string,
  title: string,
  mostPerSecond: number,
  env: Record<string, string>,
): System['workers'][number] {
  return {
    name,
    title,
    mostPerSecond,
    program: (run) => ({ args: [program(`${system}-worker`)], env: { ...environment(run), ...env } }),
  };
}
