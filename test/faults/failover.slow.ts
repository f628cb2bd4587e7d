// The primary dies under load and its synchronous standby is promoted: `web` and `worker` follow without a restart, and
// what was answered 200 is on the new primary. One host of DATABASE_URL answers nothing all the time.
import t from 'tap';
import { parseConfig } from '../../src/config.ts';
import { migrateDatabase } from '../../src/migrations/migrate.ts';
import { captureLog, openSession } from '../support/inbox.ts';
import { startPair, startSilentHost, writable } from '../support/standby.ts';
import { waitFor } from '../support/wait.ts';
import { startLoad, timeRecovery } from './load.ts';
import { openRig } from './rig.ts';
import { clock, isAck, type Sent } from './sender.ts';

const { primary, standby, urlOf } = await startPair(t);
const silent = await startSilentHost(t);
const url = urlOf([silent, standby, primary], writable);
await migrateDatabase({ databaseUrl: url, policy: parseConfig({}).config!, log: captureLog().log });
const rig = await openRig(t, { url });
const [old, next] = [await openSession(t, primary.url), await openSession(t, standby.url)];

/** From here on, a COMMIT is answered when the standby has it. */
async function makeSynchronous(): Promise<void> {
  await old(`ALTER SYSTEM SET synchronous_standby_names = '*'`);
  await old('SELECT pg_reload_conf()');
  const isSynchronous = `SELECT FROM pg_stat_replication WHERE sync_state = 'sync'`;
  await waitFor(async () => (await old(isSynchronous)).length === 1, {
    what: 'the standby to be synchronous',
  });
}

const enough = (what: string, fits: (sent: Sent) => boolean) =>
  waitFor(() => rig.sender.sent.filter(fits).length >= 40, { what: `40 deliveries ${what}` });

t.test('every 200 is on the new primary and takes effect once; both processes live on', async (t) => {
  await makeSynchronous();
  const processes = [await rig.web(), await rig.worker()];
  const load = startLoad(rig, { prefix: 'evt', perSecond: 40 });
  await enough('to be accepted', isAck);
  await primary.stop('immediate');
  const diedAt = clock();
  await enough('to be answered 503', ({ status, sentAt }) => status === 503 && sentAt > diedAt);
  await next('SELECT pg_promote()');
  const promotedAt = clock();
  const { ackMs, processedMs } = await timeRecovery(rig, promotedAt, 'after');
  await enough('to be accepted by the new primary', (sent) => isAck(sent) && sent.sentAt > promotedAt);
  const events = await load.stop();
  await rig.drain();
  t.comment(`${events} events; after the promotion: 200 in ${ackMs} ms, PROCESSED in ${processedMs} ms`);

  t.same(await rig.check(), []);
  t.match(await rig.tally(), { lost: 0, doubled: 0, stuck: 0 });
  for (const each of processes) each.kill('SIGTERM');
  for (const each of processes) t.same(await each.exited, { code: 0, signal: null }, 'it was not restarted');
});
