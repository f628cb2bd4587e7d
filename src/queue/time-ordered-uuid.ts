// UUIDs of version 7 (RFC 9562): time first, so that an index gets neighbours side by side instead of all over.
import { randomUUID } from 'node:crypto';

/**
 * Milliseconds in 48 bits, then 74 random ones. Within a millisecond the order is random.
 * @param nowMs since 1970; as Date.now()
 */
export function timeOrderedUuid(nowMs: number = Date.now()): string {
  const time = nowMs.toString(16).padStart(12, '0');
  // Behind its version's digit a random UUID (version 4) has what version 7 wants: 12 random bits, the variant, 62 more.
  return `${time.slice(0, 8)}-${time.slice(8)}-7${randomUUID().slice(15)}`;
}

/** The time in it, in ms; undefined for a UUID of another version. */
export function timeOfUuid(uuid: string): number | undefined {
  if (uuid[14] !== '7') return undefined;
  return Number.parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16);
}

/**
 * SQL: the time in it; NULL for a UUID of another version.
 * @param uuid an SQL expression
 */
export const timeOfUuidInSql = (uuid: string): string =>
  `CASE WHEN substr(${uuid}::text, 15, 1) = '7'
    THEN to_timestamp(('x' || translate(left(${uuid}::text, 13), '-', ''))::bit(48)::bigint / 1000.0) END`;
