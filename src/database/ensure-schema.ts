// Creates a schema, before the first table in it.
import type { Queryable } from './database.ts';

/**
 * Creates the schema unless it exists: CREATE SCHEMA IF NOT EXISTS would need the right even then. Of several processes one
 * at a time may call it.
 */
export async function ensureSchema(database: Queryable, placeholder: '{inbox}' | '{queue}'): Promise<void> {
  const { rows } = await database.query<{ exists: boolean }>(
    `SELECT to_regnamespace('${placeholder}') IS NOT NULL AS exists`,
  );
  if (!rows[0]?.exists) await database.query(`CREATE SCHEMA ${placeholder}`);
}
