// A source with an API key, and runs of its recovery, on an inbox that is there.
import type { Test } from 'tap';
import { parseRecovers, type RecoverSource } from '../../src/providers/index.ts';
import { parseSources, variableOf } from '../../src/providers/sources.ts';
import { createPullReceiver } from '../../src/pull/receiver.ts';
import { type RunOptions, runRecovery } from '../../src/pull/run.ts';
import { apiLimits } from '../../src/pull/tries.ts';
import { atEnd } from '../support/at-end.ts';
import type { Inbox } from '../support/inbox.ts';
import { testKey } from './api.ts';

/** As from the environment. */
export function recoverSourceOf(
  name: string,
  apiUrl: string,
  env: Record<string, string> = {},
): RecoverSource {
  const variable = variableOf(name);
  const all = { [`${variable}_API_KEY`]: testKey, [`${variable}_API_URL`]: apiUrl, ...env };
  const { ready, problems } = parseRecovers(all, parseSources(all));
  const found = ready.get(name);
  if (!found) throw new Error(`${name} cannot be recovered: ${[...problems.values()].flat().join('; ')}`);
  return found;
}

/** No pause of a test is longer than 20 ms. */
export const quickLimits = { ...apiLimits, timeoutMs: 5_000, pauseMs: 5 };

export function recovererOn(inbox: Inbox) {
  return (t: Test, recover: RecoverSource, options: Partial<RunOptions> = {}) => {
    const receiver = createPullReceiver(inbox);
    atEnd(t, () => receiver.close());
    return runRecovery({
      ...inbox,
      recover,
      receiver,
      signal: new AbortController().signal,
      firstMs: 3 * 86_400_000,
      keepsBytes: false,
      limits: quickLimits,
      ...options,
    });
  };
}
