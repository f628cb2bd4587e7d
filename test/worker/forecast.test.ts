// What a busy slot says about the time that an event takes: the worker releases events by this forecast.
import t from 'tap';
import { defineHandler, type Handler } from '../../src/handlers/handler.ts';
import { readEntries } from '../../src/worker/entries.ts';
import { shareOfEachMs } from '../../src/worker/executor.ts';
import { newEvent, openInbox, storeEvents } from '../support/inbox.ts';

const inbox = await openInbox(t);
const each = defineHandler({ provider: 'stripe', topic: '*', handle: async () => {} });
const batch = defineHandler({
  provider: 'stripe',
  topic: '*',
  handle: async () => {},
  batch: async () => {},
});

async function eightEntries(handler: Handler) {
  const events = Array.from({ length: 8 }, () => newEvent());
  await storeEvents(inbox, events, 8);
  const [job] = await inbox.queue.fetch(1);
  return (await readEntries(inbox.database, [job!], [handler])).get(job!)!;
}

t.test('a shared transaction of eight events is not taken for one slow event', async (t) => {
  t.equal(shareOfEachMs(await eightEntries(each), 80), 10);
});

t.test('a transaction that starts no handler any more waits for a single one', async (t) => {
  t.equal(shareOfEachMs(await eightEntries(each), 4_000), 4_000);
});

t.test('a batch divides its time by its events, however long it takes', async (t) => {
  t.equal(shareOfEachMs(await eightEntries(batch), 4_000), 500);
});
