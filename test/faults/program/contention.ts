// F32, F33, F41, F49: the same event many times at once, locks, isolation levels, equal ids.
import { setTimeout as delay } from 'node:timers/promises';
import { createTestDatabase } from '../../support/database.ts';
import { dishonestAnswers, startLoad } from '../load.ts';
import { clock, isAck } from '../sender.ts';
import { answerLimitMs } from './database-faults.ts';
import type { Fault } from './fault.ts';

export const concurrentDuplicates: Fault = {
  id: 'F32',
  title: '100 identical deliveries at once, and 100 with one id and different bodies',
  run: async (context) => {
    const rounds = context.repeats(3, 50);
    const rig = await context.rig();
    await Promise.all([rig.web(), rig.web(), rig.worker()]);
    let slowest = 0;
    for (let round = 0; round < rounds; round++) {
      const answers = await Promise.all(
        Array.from({ length: 100 }, () => rig.sender.deliver({ id: `twin_${round}` })),
      );
      context.expect(answers.every(isAck), `answered ${answers.find((sent) => !isAck(sent))?.status}`);
      slowest = Math.max(slowest, ...answers.map(({ sentAt, repliedAt }) => repliedAt - sentAt));
    }
    context.expect(slowest <= 5_000, `the slowest answer took ${Math.round(slowest)} ms`);
    context.note(`slowest of ${rounds * 100} answers ${Math.round(slowest)} ms`);
    await context.balance(rig);

    // Which of the bodies is kept is a race: the books, which compare bytes, are not kept for these.
    const bodies = await context.rig();
    await Promise.all([bodies.web(), bodies.web()]);
    const various = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        bodies.sender.deliver({ id: 'one', act: { note_of: index } }),
      ),
    );
    context.expect(various.every(isAck), 'a different body under a known id was refused');
    context.expect(
      various.filter(({ duplicate }) => duplicate === false).length === 1,
      'more than one was new',
    );
    const { rows } = await bodies.pool.query(
      `SELECT encode(body_sha256, 'hex') AS sha256 FROM webhook_events`,
    );
    const first = various.find(({ duplicate }) => duplicate === false);
    context.expect(
      rows.length === 1 && rows[0].sha256 === first?.sha256,
      'the stored body is not the first one',
    );
  },
};

export const lockConflicts: Fault = {
  id: 'F33',
  title: 'a database set to SERIALIZABLE; handlers that deadlock',
  run: async (context) => {
    const { url, name } = await createTestDatabase(context.t);
    const rig = await context.rig({ url });
    await rig.pool.query(`ALTER DATABASE ${name} SET default_transaction_isolation = 'serializable'`);
    await rig.pool.query(`INSERT INTO allowed VALUES ('A'), ('B')`);
    await Promise.all([rig.web(), rig.web(), rig.worker(), rig.worker()]);
    const pairs = context.repeats(3, 10);
    const load = startLoad(rig, { prefix: 'evt', perSecond: 40 });
    for (let pair = 0; pair < pairs; pair++) {
      await Promise.all(
        [
          ['A', 'B'],
          ['B', 'A'],
        ].map((locks, index) =>
          rig.sender.deliverUntilAcked({ id: `lock_${pair}_${index}`, act: { do: 'lock', locks } }),
        ),
      );
      await delay(300);
    }
    await load.stop();
    await rig.drain(150_000); // they queue for the same two rows
    const { rows } = await rig.pool.query<{ state: string; count: number }>(
      `SELECT substring(error FROM 'SQLSTATE (\\w+)') AS state, count(*)::int AS count FROM failed_attempts GROUP BY 1`,
    );
    context.note(
      `failed attempts: ${rows.map(({ state, count }) => `${count} of ${state}`).join(', ') || 'none'}`,
    );
    const refused = rig.sender.sent.filter((sent) => !isAck(sent));
    context.expect(refused.length === 0, `${refused.length} deliveries were answered ${refused[0]?.status}`);
    await context.balance(rig, { mayExceedAttemptsBy: 5 });
  },
};

export const lockedTable: Fault = {
  id: 'F41',
  title: 'webhook_events locked by another session, for 3 s and for 60 s',
  run: async (context) => {
    const holds = context.isFull ? [3_000, 60_000] : [3_000, 12_000];
    context.repeats(holds.length, holds.length);
    const rig = await context.rig();
    await Promise.all([rig.web(), rig.worker()]);
    for (const holdMs of holds) {
      const from = rig.sender.sent.length;
      const load = startLoad(rig, { prefix: `evt_${holdMs}`, perSecond: 40 });
      await delay(500);
      const client = await rig.pool.connect();
      await client.query('BEGIN; LOCK TABLE webhook_events IN ACCESS EXCLUSIVE MODE');
      await delay(holdMs);
      await client.query('ROLLBACK');
      client.release();
      const freedAt = clock();
      const id = `after_${holdMs}`;
      await rig.sender.deliverUntilAcked({ id });
      context.recovered(clock() - freedAt, 10_000, 'the first 200 after the lock');
      await load.stop();
      for (const { detail } of dishonestAnswers(rig.sender.sent.slice(from), answerLimitMs).slice(0, 3))
        context.expect(false, `held ${holdMs} ms: A10 ${detail}`);
    }
    context.note(`held for ${holds.map((ms) => ms / 1_000).join(' and ')} s`);
    await context.balance(rig, { mayExceedAttemptsBy: 5 });
  },
};

export const equalIds: Fault = {
  id: 'F49',
  title: 'the same event id from two sources, and in two databases',
  run: async (context) => {
    context.repeats(1, 1);
    const secret = 'whsec_another_source_0123456789';
    const env = { POSTBELL_SOURCES: 'stripe-eu=stripe', STRIPE_EU_WEBHOOK_SECRET: secret };
    const [rig, other] = await Promise.all([context.rig({ env }), context.rig()]);
    const [web] = await Promise.all([rig.web(), rig.worker(), other.web(), other.worker()]);
    await rig.sender.deliverUntilAcked({ id: 'evt_same' });
    await other.sender.deliverUntilAcked({ id: 'evt_same' });
    const eu = rig.newSender({ secret, urls: () => [web.url], source: 'stripe-eu' });
    const answer = await eu.deliver({ id: 'evt_same' });
    context.expect(answer.duplicate === false, 'the event of another source was called a duplicate');
    await Promise.all([rig.drain(), other.drain()]);
    const { rows } = await rig.pool.query(`SELECT source, status FROM webhook_events ORDER BY source`);
    context.expect(
      JSON.stringify(rows.map(({ source, status }) => [source, status])) ===
        '[["stripe","PROCESSED"],["stripe-eu","PROCESSED"]]',
      `two sources: ${JSON.stringify(rows)}`,
    );
    const effects = await rig.pool.query('SELECT FROM effects');
    context.expect(effects.rowCount === 2, `${effects.rowCount} effects of two events`);
    await context.balance(other);
  },
};
