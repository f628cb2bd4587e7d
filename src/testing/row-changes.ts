// Finds the rows that were changed behind a savepoint: Postgres names every version of a row by its place in the table.
// A version that only the changed table has was written; a version that only the table rolled back has was replaced.
import type { Queryable, Row, Transaction } from '../database/database.ts';
import type { RowChange } from './types.ts';

interface Table {
  name: string;
  /** Columns of the primary key; empty without one. */
  keys: string[];
}

interface Version {
  place: string;
  row: Row;
}

/** Postbell writes here itself. */
const ownTables = ['webhook_events', 'entity_clock'];

/** Selects the tables that this transaction wrote to, by Postgres' counts of its rows. */
const changedTables = `
  SELECT relid::regclass::text AS name, coalesce((
      SELECT array_agg(attname::text) FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)
      WHERE indrelid = relid AND indisprimary), '{}') AS keys
  FROM pg_stat_xact_user_tables
  WHERE n_tup_ins + n_tup_upd + n_tup_del > 0 AND relname <> ALL ($1)
  ORDER BY 1`;

/**
 * Rolls back to the savepoint, and compares.
 * @param firstId the transaction id under which the first row behind the savepoint was written
 */
export async function rollBackAndCompare(
  tx: Transaction,
  savepoint: string,
  firstId: string,
): Promise<RowChange[]> {
  const { rows: tables } = await tx.query<Table & Row>(changedTables, [ownTables]);
  const left = new Map<Table, { written: Version[]; places: Set<string> }>();
  for (const table of tables) {
    const written = await readVersions(tx, table, 'age(xmin) <= age($1::xid)', firstId);
    const { rows } = await tx.query<{ place: string }>(`SELECT ctid::text AS place FROM ONLY ${table.name}`);
    left.set(table, { written, places: new Set(rows.map(({ place }) => place)) });
  }
  await tx.rollBackTo(savepoint);
  const changes: RowChange[] = [];
  for (const [table, { written, places }] of left) {
    const writtenPlaces = written.map(({ place }) => place);
    const now = await readVersions(tx, table, 'xmax <> 0 OR ctid = ANY ($1::tid[])', writtenPlaces);
    const stillThere = new Set(now.map(({ place }) => place)); // written by somebody else, who has committed
    changes.push(
      ...pair(
        table,
        now.filter(({ place }) => !places.has(place)),
        written.filter(({ place }) => !stillThere.has(place)),
      ),
    );
  }
  return changes;
}

async function readVersions(
  tx: Queryable,
  { name }: Table,
  condition: string,
  value: unknown,
): Promise<Version[]> {
  const { rows } = await tx.query<{ '#place': string } & Row>(
    `SELECT ctid::text AS "#place", t.* FROM ONLY ${name} t WHERE ${condition}`,
    [value],
  );
  return rows.map(({ '#place': place, ...row }) => ({ place, row }));
}

/** Joins the two versions of an updated row by the primary key; without one they are a deleted and an inserted row. */
function pair({ name, keys }: Table, replaced: readonly Version[], written: readonly Version[]): RowChange[] {
  const keyOf = ({ place, row }: Version) =>
    keys.length > 0 ? JSON.stringify(keys.map((key) => row[key])) : place;
  const before = new Map(keys.length > 0 ? replaced.map((version) => [keyOf(version), version.row]) : []);
  const changes = written.map((version): RowChange => {
    const key = keyOf(version);
    const change = { table: name, before: before.get(key) ?? null, after: version.row };
    before.delete(key);
    return change;
  });
  const deleted = keys.length > 0 ? [...before.values()] : replaced.map(({ row }) => row);
  return [...changes, ...deleted.map((row): RowChange => ({ table: name, before: row, after: null }))];
}
