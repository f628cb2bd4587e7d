// F7, F8, F42: what the answer to COMMIT does not say, and jobs that were not inserted.
import { createTestDatabase } from '../../support/database.ts';
import { waitFor } from '../../support/wait.ts';
import { startProxy } from '../proxy.ts';
import { isAck } from '../sender.ts';
import type { Fault } from './fault.ts';

export const rolledBackCommits: Fault = {
  id: 'F7',
  title: 'an aborted transaction answers COMMIT with ROLLBACK and no error',
  run: async (context) => {
    const { url } = await createTestDatabase(context.t);
    const [toWeb, toWorker] = await Promise.all([startProxy(context.t, url), startProxy(context.t, url)]);
    const rig = await context.rig({ url });
    const [web] = await Promise.all([
      rig.web({ DATABASE_URL: toWeb.url }),
      rig.worker({ DATABASE_URL: toWorker.url }),
    ]);
    const repeats = context.repeats(2, 20);
    for (let index = 0; index < repeats; index++) {
      const id = `evt_${index}`;
      toWeb.rollBackCommits(1);
      const first = await rig.sender.deliver({ id });
      context.expect(first.status === 503 && first.retryAfter !== null, `answered ${first.status}, not 503`);
      context.expect((await rig.status(id)) === undefined, `${id} is stored although it was rolled back`);
      toWorker.rollBackCommits(1);
      await rig.sender.deliverUntilAcked({ id });
      await rig.waitForStatus(id, 'PROCESSED');
      context.expect(toWorker.rolledBack() === index + 1, 'the worker sent no COMMIT');
    }
    context.expect(web.output().includes('answered COMMIT with ROLLBACK'), 'the log does not say so');
    await context.balance(rig);
  },
};

export const lostCommitAnswers: Fault = {
  id: 'F8',
  title: 'COMMIT done, its answer lost: of the receiver and of the worker',
  run: async (context) => {
    const { url } = await createTestDatabase(context.t);
    const [toWeb, toWorker] = await Promise.all([startProxy(context.t, url), startProxy(context.t, url)]);
    const rig = await context.rig({ url });
    await Promise.all([rig.web({ DATABASE_URL: toWeb.url }), rig.worker({ DATABASE_URL: toWorker.url })]);
    const repeats = context.repeats(2, 20);
    for (let index = 0; index < repeats; index++) {
      const id = `evt_${index}`;
      toWeb.swallowCommits(1);
      toWorker.swallowCommits(1);
      const first = await rig.sender.deliver({ id });
      context.expect(first.status === 503, `the unknown outcome was answered ${first.status}`);
      const retry = await rig.sender.deliverUntilAcked({ id });
      context.expect(retry.duplicate === true, 'the retry was not a duplicate');
      await rig.waitForStatus(id, 'PROCESSED');
    }
    await waitFor(() => toWorker.swallowed() > 0, { what: "a worker's answer to be lost" });
    context.note(`${toWeb.swallowed()} answers of the receiver, ${toWorker.swallowed()} of the worker lost`);
    await context.balance(rig, { mayExceedAttemptsBy: 5 });
  },
};

/** Each with what does it and what undoes it. */
const rejections: readonly [string, string, string][] = [
  [
    'pg-boss inserts nothing',
    `CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
     CREATE TRIGGER refuse BEFORE INSERT ON pgboss.job FOR EACH ROW EXECUTE FUNCTION swallow()`,
    'DROP TRIGGER refuse ON pgboss.job; DROP FUNCTION swallow()',
  ],
  [
    'its insert throws',
    `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END';
     CREATE TRIGGER refuse BEFORE INSERT ON pgboss.job FOR EACH ROW EXECUTE FUNCTION refuse()`,
    'DROP TRIGGER refuse ON pgboss.job; DROP FUNCTION refuse()',
  ],
  [
    'a constraint refuses it',
    'ALTER TABLE pgboss.job_common ADD CONSTRAINT refuse CHECK (false) NOT VALID',
    'ALTER TABLE pgboss.job_common DROP CONSTRAINT refuse',
  ],
];

export const jobsNotInserted: Fault = {
  id: 'F42',
  title: 'the job is not inserted: swallowed, thrown out, refused by a constraint',
  run: async (context) => {
    const rig = await context.rig();
    await rig.web();
    const repeats = context.repeats(1, 5);
    for (let round = 0; round < repeats; round++) {
      for (const [title, breakIt, mendIt] of rejections) {
        const id = `${title.replaceAll(' ', '_')}_${round}`;
        await rig.pool.query(breakIt).catch((error: Error) => {
          throw new Error(`${title}: ${error.message}`);
        });
        const first = await rig.sender.deliver({ id });
        context.expect(first.status === 503, `${title}: answered ${first.status}`);
        await rig.pool.query(mendIt);
        context.expect((await rig.status(id)) === undefined, `${title}: the event is stored without its job`);
        context.expect(isAck(await rig.sender.deliverUntilAcked({ id })), `${title}: it does not heal`);
      }
    }
    await rig.worker();
    await context.balance(rig);
  },
};
