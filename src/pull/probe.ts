// One harmless call with a key: the first page of the list for the last minute. Nothing of it is taken.
import type { RecoverSource } from '../providers/index.ts';
import { createApiClient } from './api-client.ts';
import { readPage } from './pages.ts';
import { apiLimits } from './tries.ts';

const limits = { ...apiLimits, timeoutMs: 10_000, maxTries: 1 };

/** @throws RecoverError */
export async function probeApi(recover: RecoverSource): Promise<void> {
  const { pull, redeliver } = recover.spec;
  const list = (recover.isOn && redeliver) || pull || redeliver;
  const client = createApiClient({ recover, signal: new AbortController().signal, limits });
  const until = new Date();
  await readPage(client, list!, recover, {
    since: new Date(until.getTime() - 60_000),
    until,
    cursor: undefined,
  });
}
