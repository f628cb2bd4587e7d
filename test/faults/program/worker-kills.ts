// F2: workers killed at each place of an attempt, of a failure, of a replay and of a verdict.
import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from '../../support/wait.ts';
import type { Rig } from '../rig.ts';
import { clock } from '../sender.ts';
import { failureSites, movingSites, workerSites } from '../sites.ts';
import type { Fault, FaultContext } from './fault.ts';

const sites = [...workerSites.map(({ site }) => site), ...failureSites, ...movingSites];
const maxAttempts = 3;
/** Heartbeat 10 s, supervised each second, back-off up to 2 s, poll 1 s, and as much again for a slow machine. */
const rerunLimitMs = 20_000;
/** HEARTBEAT_SECONDS 30 and SUPERVISE_SECONDS 15. */
const noticeLimitMs = 45_000;

export const workerKills: Fault = {
  id: 'F2',
  title: `kill -9 of a worker at each of ${sites.length} places`,
  isLong: true,
  run: async (context) => {
    const rounds = context.repeats(1, 20);
    const production = context.isFull ? noticeInProduction(context) : undefined;
    production?.catch(() => {}); // awaited below
    const rig = await context.rig({ env: { MAX_ATTEMPTS: String(maxAttempts) } });
    // The queue takes its policy from the first worker; a job keeps the one it was inserted under.
    const [, first] = await Promise.all([rig.web(), rig.worker()]);
    first.kill('SIGTERM');
    await first.exited;
    const feed = new Feed(rig);
    for (let round = 0; round < rounds; round++) {
      let isOver = false;
      const feeding = (async () => {
        for (; !isOver; await delay(300)) await feed.step();
      })();
      const ends = await Promise.all(
        sites.map(async (site) => {
          const victim = await rig.worker({ POSTBELL_FAILPOINT: `${site}:kill` }, { wait: false });
          const late = delay(120_000, undefined, { ref: false });
          return { site, end: await Promise.race([victim.exited, late]) };
        }),
      );
      isOver = true;
      await feeding;
      for (const { site, end } of ends)
        context.expect(end?.signal === 'SIGKILL', `${site} was not reached in round ${round}`);
    }
    context.note(`${rounds * sites.length} kills`);
    await Promise.all([rig.worker(), rig.worker()]);
    await rerunAfterKill(context, rig);
    await production;
    await context.balance(rig, {
      maxAttempts,
      mayExceedAttemptsBy: 100, // deferred, and released: not charged
      replayed: feed.replayed,
      ignores: ({ detail }) => detail.startsWith('an event without a job'), // we delete jobs ourselves
    });
  },
};

/** A little of everything that makes workers pass their sites. */
class Feed {
  readonly replayed = new Set<string>();
  #step = 0;
  readonly #rig: Rig;
  constructor(rig: Rig) {
    this.#rig = rig;
  }
  async step(): Promise<void> {
    const { sender, pool } = this.#rig;
    const step = this.#step++;
    const orders = [
      ...['a', 'b', 'c', 'd', 'e'].map((letter) => ({ id: `plain_${step}${letter}` })),
      { id: `once_${step}`, act: { do: 'throw-times', times: 1 } },
      { id: `dead_${step}`, act: { do: 'throw' } },
      { id: `later_${step}`, act: { do: 'later-for', ms: 2_000 } },
      { id: `permanent_${step}`, act: { do: 'permanent' } },
    ];
    await Promise.all(orders.map((order) => sender.deliverUntilAcked(order)));
    // Replays, and jobs that vanish.
    const { rows } = await pool.query<{ event_id: string }>(
      `UPDATE webhook_events SET status = 'PENDING' WHERE status = 'FAILED' AND event_id LIKE 'permanent%'
         AND event_id = ANY (ARRAY(SELECT event_id FROM webhook_events WHERE status = 'FAILED' ORDER BY random() LIMIT 3))
       RETURNING event_id`,
    );
    for (const { event_id } of rows) this.replayed.add(event_id);
    await pool.query(
      `DELETE FROM pgboss.job WHERE name = 'webhooks' AND state < 'active' AND id IN (SELECT job_id
         FROM webhook_events WHERE status = 'PENDING' AND received_at < now() - interval '5 s' LIMIT 2)`,
    );
    // A job as its worker leaves it that died in the last attempt: it goes to the dead-letter queue.
    await pool.query(
      `UPDATE pgboss.job SET state = 'active', retry_count = retry_limit, started_on = now() - interval '1 hour',
         heartbeat_on = now() - interval '1 hour'
       WHERE id = (SELECT id FROM pgboss.job WHERE name = 'webhooks' AND state = 'created' ORDER BY random() LIMIT 1)`,
    );
  }
}

async function rerunAfterKill(context: FaultContext, rig: Rig): Promise<void> {
  for (let index = 0; index < (context.isFull ? 5 : 1); index++) {
    const id = `rerun_${index}`;
    await rig.sender.deliverUntilAcked({ id, act: { do: 'wait-until-allowed', ms: 60_000 } });
    const startsOf = () => rig.attempts().filter(({ eventId }) => eventId === id);
    const first = await waitFor(() => startsOf()[0], { what: `${id} to start` });
    process.kill(first.pid, 'SIGKILL');
    const killedAt = clock();
    await rig.pool.query('INSERT INTO allowed VALUES ($1)', [id]);
    const replacement = rig.worker();
    await waitFor(() => startsOf().length > 1, { what: `${id} to be run again`, timeoutMs: 60_000 });
    context.recovered(startsOf()[1]!.startedAt - killedAt, rerunLimitMs, 'the re-run of a killed worker');
    await replacement;
  }
}

/** With the settings as shipped: from the kill until its job is to be run again; the back-off (60 s) comes on top. */
async function noticeInProduction(context: FaultContext): Promise<void> {
  const shipped = { HEARTBEAT_SECONDS: '', SUPERVISE_SECONDS: '', RECONCILE_SECONDS: '', POLL_SECONDS: '' };
  const rig = await context.rig({ env: shipped });
  const [, victim] = await Promise.all([rig.web(), rig.worker()]);
  await rig.sender.deliverUntilAcked({ id: 'shipped', act: { do: 'wait-until-allowed', ms: 60_000 } });
  await waitFor(() => rig.attempts().length === 1, { what: 'the handler to start' });
  await rig.worker();
  victim.kill('SIGKILL');
  const killedAt = clock();
  await rig.pool.query(`INSERT INTO allowed VALUES ('shipped')`);
  await waitFor(
    async () => (await rig.pool.query(`SELECT FROM pgboss.job WHERE state = 'active'`)).rowCount === 0,
    { what: 'the dead worker to be noticed', timeoutMs: 90_000, intervalMs: 200 },
  );
  const ms = Math.round(clock() - killedAt);
  context.expect(ms <= noticeLimitMs, `with the settings as shipped it was noticed after ${ms} ms`);
  context.note(`settings as shipped: the job is to be run again after ${(ms / 1_000).toFixed(1)} s`);
  await context.balance(rig);
}
