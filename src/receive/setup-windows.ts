// Setup windows, in which a provider may send its secret: opened by `postbell setup`, read by `web`.
import {
  constants,
  generateKeyPairSync,
  hash,
  type KeyObject,
  privateDecrypt,
  publicEncrypt,
} from 'node:crypto';
import type { Queryable } from '../database/database.ts';
import { describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { sameText } from '../providers/index.ts';

/** Fits into one RSA block. */
const maxHandedOverBytes = 256;

const readIntervalMs = 1_000;
const keyBits = 3_072;
const tokenBytes = 16;
const sealing = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };

export interface SetupWindow {
  source: string;
  expiresAt: Date;
  publicKey: string;
  /** Never leaves the waiting process: the database and its backups hold no secret that could be read. */
  privateKey: KeyObject;
}

/** Opens a window, timed by the database's clock. Replaces a window of an earlier command that crashed. */
export async function openSetupWindow(
  database: Queryable,
  source: string,
  minutes: number,
): Promise<SetupWindow> {
  const pair = generateKeyPairSync('rsa', { modulusLength: keyBits });
  const publicKey = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const { rows } = await database.query<{ expiresAt: Date }>({
    text: `INSERT INTO {inbox}.setup_windows (source, public_key, expires_at)
      VALUES ($1, $2, now() + make_interval(mins => $3))
      ON CONFLICT (source) DO UPDATE SET public_key = excluded.public_key, opened_at = excluded.opened_at,
        expires_at = excluded.expires_at, sealed_secret = NULL, handed_over_at = NULL
      RETURNING expires_at AS "expiresAt"`,
    values: [source, publicKey, minutes],
  });
  return { source, publicKey, privateKey: pair.privateKey, expiresAt: rows[0]!.expiresAt };
}

export type Wait = { state: 'open' | 'expired' | 'replaced' } | { state: 'handed over'; secret: string };

export async function readSetupWindow(database: Queryable, window: SetupWindow): Promise<Wait> {
  const { rows } = await database.query<{ sealed: Buffer | null; isOpen: boolean }>({
    text: `SELECT sealed_secret AS sealed, expires_at > now() AS "isOpen" FROM {inbox}.setup_windows
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

/** Deletes the window and its secret; another command's window of the same source stays. */
export async function closeSetupWindow(database: Queryable, window: SetupWindow): Promise<void> {
  await database.query({
    text: 'DELETE FROM {inbox}.setup_windows WHERE source = $1 AND public_key = $2',
    values: [window.source, window.publicKey],
  });
}

/**
 * Stands in the URL that `postbell setup` prints (`?setup=…`): only a sender that was given this URL can hand over a
 * secret. Made from the window's public key, which never leaves the database and the command.
 */
export function setupTokenOf({ publicKey }: Pick<SetupWindow, 'publicKey'>): string {
  return hash('sha256', publicKey, 'buffer').subarray(0, tokenBytes).toString('base64url');
}

export interface SecretHandover {
  /**
   * True if a window of the source is open, the token is that window's, and this is the first secret handed over in it.
   * Never throws. Reads the windows of all sources at most once a second, and uses that answer until the next time.
   */
  accept(source: string, secret: string, token: string): Promise<boolean>;
}

type OpenWindow = Pick<SetupWindow, 'source' | 'publicKey'>;

export function createSecretHandover(database: Queryable, log: Logger): SecretHandover {
  let nextReadAt = 0;
  let openWindows: Promise<OpenWindow[]> = Promise.resolve([]);

  function readWindows(): Promise<OpenWindow[]> {
    const now = performance.now();
    if (now >= nextReadAt) {
      nextReadAt = now + readIntervalMs;
      openWindows = findOpenWindows(database).catch((error) => {
        log.warn({ error: describeError(error).text }, 'the setup windows could not be read');
        return [];
      });
    }
    return openWindows;
  }

  return {
    async accept(source, secret, token) {
      if (Buffer.byteLength(secret) > maxHandedOverBytes) return false;
      try {
        const windows = await readWindows();
        const window = windows.find((one) => one.source === source && sameText(setupTokenOf(one), token));
        if (!window || !(await handOver(database, window, secret))) return false;
        log.info({ source }, 'the provider sent its secret: postbell setup prints the secret');
        return true;
      } catch (error) {
        log.warn({ source, error: describeError(error).text }, 'a secret could not be stored');
        return false;
      }
    },
  };
}

const isOpen = 'sealed_secret IS NULL AND expires_at > now()';

async function findOpenWindows(database: Queryable): Promise<OpenWindow[]> {
  const { rows } = await database.query<OpenWindow>({
    text: `SELECT source, public_key AS "publicKey" FROM {inbox}.setup_windows WHERE ${isOpen}`,
    values: [],
  });
  return rows;
}

async function handOver(database: Queryable, window: OpenWindow, secret: string): Promise<boolean> {
  const sealed = publicEncrypt({ ...sealing, key: window.publicKey }, Buffer.from(secret));
  const { rowCount } = await database.query({
    text: `UPDATE {inbox}.setup_windows SET sealed_secret = $3, handed_over_at = now()
      WHERE source = $1 AND public_key = $2 AND ${isOpen}`,
    values: [window.source, window.publicKey, sealed],
  });
  return rowCount === 1;
}
