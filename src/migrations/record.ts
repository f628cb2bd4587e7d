// The table that records the applied migrations, and its former name in Postbell 0.1.
import type { Database, Queryable } from '../database/database.ts';
import { sqlState } from '../errors.ts';

export const migrationsTable = 'postbell_migrations';

/** As postgres-migrations loads it; number 0 is its own and creates the table. */
export interface Migration {
  id: number;
  /** SHA-1 of the file's name and text. */
  hash: string;
  sql: string;
}

/** As text for a statement. */
const table = `{inbox}.${migrationsTable}`;

/** @returns the newest migration that was applied; 0 when there is none */
export async function readNewestApplied(database: Queryable): Promise<number> {
  try {
    const { rows } = await database.query<{ id: number | null }>(`SELECT max(id) AS id FROM ${table}`);
    return rows[0]?.id ?? 0;
  } catch (error) {
    if (['42P01', '42703'].includes(sqlState(error) ?? '')) return 0; // our table is missing: nothing was applied
    throw error;
  }
}

type Row = { id: number; hash: string };

/** The rows of the table `name`; undefined if it lacks our columns, or (with `mustOwn`) has another owner. */
async function readRecord(database: Queryable, name: string, mustOwn: boolean): Promise<Row[] | undefined> {
  const { rows } = await database.query(
    `SELECT FROM pg_class c WHERE oid = to_regclass('${name}') AND relkind = 'r' AND (NOT $1 OR pg_has_role(relowner, 'USAGE'))
     AND (SELECT count(*) FROM pg_attribute WHERE attrelid = c.oid AND attname IN ('id', 'name', 'hash')) = 3`,
    [mustOwn],
  );
  if (rows.length === 0) return undefined;
  const record = await database.query<Row>(`SELECT id, hash FROM ${name} ORDER BY id LIMIT 1000`);
  return record.rows;
}

export interface AppliedMigrations {
  ids: number[];
  /** True: recorded in `migrations`, as in 0.1, and every row there is ours. */
  isFormer: boolean;
}

export async function readApplied(
  database: Queryable,
  files: readonly Migration[],
): Promise<AppliedMigrations> {
  const record = await readRecord(database, table, false);
  if (record) return { ids: record.map(({ id }) => id), isFormer: false };
  const former = (await readRecord(database, '{inbox}.migrations', true)) ?? [];
  const isOurs = ({ id, hash }: Row) => files.some((file) => file.id === id && file.hash === hash);
  // Number 0 is the same in every program that uses postgres-migrations.
  if (former.length < 2 || !former.every(isOurs)) return { ids: [], isFormer: false };
  return { ids: former.map(({ id }) => id), isFormer: true };
}

/** Renames the table of 0.1 and its constraints: a team may need the old names. */
export async function renameFormerRecord(database: Database): Promise<void> {
  await database.transaction(
    async (tx) => {
      await tx.query(`ALTER TABLE {inbox}.migrations RENAME TO ${migrationsTable}`);
      await tx.query(`DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT conname FROM pg_constraint
          WHERE conrelid = '${table}'::regclass AND conname ~ '^migrations_'
        LOOP EXECUTE format('ALTER TABLE ${table} RENAME CONSTRAINT %I TO %I', name, 'postbell_' || name);
        END LOOP; END $$`);
    },
    { settings: { lock_timeout: '5s' } },
  );
}
