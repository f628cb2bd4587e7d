// Windows in which a provider may hand over its secret: opened by `postbell setup`, looked into by `web`.
import { constants, generateKeyPairSync, type KeyObject, privateDecrypt, publicEncrypt } from 'node:crypto';
import type { Queryable } from './database/database.ts';
import { describeError } from './errors.ts';
import type { Logger } from './logger.ts';

/** Fits into one RSA block with room to spare. */
const maxHandedOverBytes = 256;

const lookIntervalMs = 1_000;
const keyBits = 3_072;
const sealing = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };

export interface SetupWindow {
  source: string;
  expiresAt: Date;
  publicKey: string;
  /** Never leaves the waiting process: the database and its backups hold no secret that could be read. */
  privateKey: KeyObject;
}

/** Opens it for that long, by the database's clock. One that was left behind by a command that died is replaced. */
export async function openSetupWindow(
  database: Queryable,
  source: string,
  minutes: number,
): Promise<SetupWindow> {
  const pair = generateKeyPairSync('rsa', { modulusLength: keyBits });
  const publicKey = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const { rows } = await database.query<{ expiresAt: Date }>({
    text: `INSERT INTO setup_windows (source, public_key, expires_at)
      VALUES ($1, $2, now() + make_interval(mins => $3))
      ON CONFLICT (source) DO UPDATE SET public_key = excluded.public_key, opened_at = excluded.opened_at,
        expires_at = excluded.expires_at, sealed_secret = NULL, handed_over_at = NULL
      RETURNING expires_at AS "expiresAt"`,
    values: [source, publicKey, minutes],
  });
  return { source, publicKey, privateKey: pair.privateKey, expiresAt: rows[0]!.expiresAt };
}

export type Wait = { state: 'open' | 'expired' | 'replaced' } | { state: 'handed over'; secret: string };

export async function lookIntoSetupWindow(database: Queryable, window: SetupWindow): Promise<Wait> {
  const { rows } = await database.query<{ sealed: Buffer | null; isOpen: boolean }>({
    text: `SELECT sealed_secret AS sealed, expires_at > now() AS "isOpen" FROM setup_windows
      WHERE source = $1 AND public_key = $2`,
    values: [window.source, window.publicKey],
  });
  const [row] = rows;
  if (!row) return { state: 'replaced' };
  if (row.sealed) {
    const secret = privateDecrypt({ ...sealing, key: window.privateKey }, row.sealed).toString();
    return { state: 'handed over', secret };
  }
  return { state: row.isOpen ? 'open' : 'expired' };
}

/** Takes the secret with it; another command's window of the same source stays. */
export async function closeSetupWindow(database: Queryable, window: SetupWindow): Promise<void> {
  await database.query({
    text: 'DELETE FROM setup_windows WHERE source = $1 AND public_key = $2',
    values: [window.source, window.publicKey],
  });
}

export interface SetupDesk {
  /**
   * True if a window of the source is open and this is the first secret handed over in it. Never throws. Looks at most
   * once a second, for all sources together: whatever is asked in between is told false without a statement.
   */
  accept(source: string, secret: string): Promise<boolean>;
}

export function createSetupDesk(database: Queryable, log: Logger): SetupDesk {
  let nextLookAt = 0;
  return {
    async accept(source, secret) {
      const now = performance.now();
      if (now < nextLookAt || Buffer.byteLength(secret) > maxHandedOverBytes) return false;
      nextLookAt = now + lookIntervalMs;
      try {
        const isTaken = await handOver(database, source, secret);
        if (isTaken) log.info({ source }, 'the provider handed over its secret: postbell setup prints it');
        else
          log.warn({ source }, 'a secret was handed over outside a set-up window: postbell setup opens one');
        return isTaken;
      } catch (error) {
        log.warn({ source, error: describeError(error).text }, 'a secret could not be taken');
        return false;
      }
    },
  };
}

async function handOver(database: Queryable, source: string, secret: string): Promise<boolean> {
  const isOpen = 'source = $1 AND sealed_secret IS NULL AND expires_at > now()';
  const { rows } = await database.query<{ publicKey: string }>({
    text: `SELECT public_key AS "publicKey" FROM setup_windows WHERE ${isOpen}`,
    values: [source],
  });
  const [window] = rows;
  if (!window) return false;
  const sealed = publicEncrypt({ ...sealing, key: window.publicKey }, Buffer.from(secret));
  const { rowCount } = await database.query({
    text: `UPDATE setup_windows SET sealed_secret = $3, handed_over_at = now()
      WHERE ${isOpen} AND public_key = $2`,
    values: [source, window.publicKey, sealed],
  });
  return rowCount === 1;
}
