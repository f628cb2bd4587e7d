// Workers are woken after the commit, and not by every commit.
import pg from 'pg';
import t from 'tap';
import { createWorkerWakeups } from '../../src/receive/worker-wakeups.ts';
import { atEnd } from '../support/at-end.ts';
import { newEvent, openInbox } from '../support/inbox.ts';
import { receiversOn } from '../support/receivers.ts';
import { waitFor } from '../support/wait.ts';

const body = Buffer.from('{}');
const inbox = await openInbox(t);
const receiverOf = receiversOn(inbox);
const listener = new pg.Client({ connectionString: inbox.url });
atEnd(t, () => listener.end());
await listener.connect();
await listener.query('LISTEN postbell');
const heard: string[] = [];
listener.on('notification', ({ payload = '' }) => heard.push(payload));

t.test('a delivery that was stored wakes them; a duplicate does not', async (t) => {
  const receiver = receiverOf(t);
  const event = newEvent();
  await receiver.submit([event], body);
  await waitFor(() => heard.length === 1, { what: 'the notification' });
  t.same(heard, ['jobs']);
  t.same(await receiver.submit([event], body), { duplicate: true });
  await receiver.close();
  await inbox.sql('SELECT pg_notify($1, $2)', ['postbell', 'last']);
  await waitFor(() => heard.includes('last'), { what: 'the last notification' });
  t.same(heard.splice(0), ['jobs', 'last']);
});

t.test(
  'of many commits the first is told at once, then one notification leaves per 20 ms at most',
  async (t) => {
    const sentAt: number[] = [];
    const database = {
      query: async () => {
        sentAt.push(performance.now());
        return { rows: [], rowCount: 0, command: 'SELECT' };
      },
    };
    const wakeups = createWorkerWakeups({ database, log: inbox.log });
    wakeups.send();
    t.equal(sentAt.length, 1, 'at once');
    while (sentAt.length < 5) {
      wakeups.send();
      await new Promise(setImmediate);
    }
    await wakeups.close();
    const pauses = sentAt.slice(1).map((at, index) => at - sentAt[index]!);
    // A timer may be a fraction of a millisecond early.
    t.ok(
      pauses.every((pauseMs) => pauseMs > 19),
      `pauses of ${pauses.map(Math.round)} ms`,
    );
  },
);
