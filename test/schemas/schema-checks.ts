// Handlers with the schemas of each library: run by `npm run test:schemas`, which installs them.
import t from 'tap';
import { rowOf, runNext } from '../support/attempt.ts';
import { newEvent, openInbox, storeEvents } from '../support/inbox.ts';
import { libraries, seen } from './libraries.ts';

const inbox = await openInbox(t);
const planted = 'planted-4242';
const good = { id: 'ord_1', items: [{ sku: 'A-1', count: 2 }], note: 'four' };
const bad = {
  id: planted,
  items: [{ sku: planted, count: planted }],
  note: { [planted]: planted },
  currency: planted,
};

for (const [name, handlers] of Object.entries(libraries)) {
  for (const [topic, handler] of [
    ['order', handlers.sync],
    ['async', handlers.async],
  ] as const) {
    if (!handler) continue;
    const run = async (payload: object) => {
      const event = newEvent({ topic, payloadText: JSON.stringify(payload) });
      await storeEvents(inbox, [event]);
      await runNext(inbox, [handler]);
      return rowOf(inbox, event);
    };
    t.test(`${name}, ${topic}: a valid payload arrives as the schema gives it`, async (t) => {
      seen.length = 0;
      const row = await run(good);
      t.match(row, {
        status: 'PROCESSED',
        last_error: null,
        entity: topic === 'order' ? 'ord_1 4' : 'ord_1',
      });
      t.same(seen, [{ ...good, note: 4, currency: 'eur' }]);
    });
    t.test(`${name}, ${topic}: a mismatch is a dead letter with the paths and no value`, async (t) => {
      inbox.logs.length = 0;
      const row = await run(bad);
      t.match(row, { status: 'FAILED', attempts: 1 });
      const { last_error: error } = row;
      for (const path of ['id', 'items.0.sku', 'items.0.count', 'note', 'currency'])
        t.ok(String(error).includes(path), `${path} in ${error}`);
      const told = await inbox.sql(
        `SELECT error, stack FROM failed_attempts UNION ALL SELECT output::text, '' FROM pgboss.job`,
      );
      t.notMatch(JSON.stringify([error, told, inbox.logs]), planted);
    });
  }
  if (handlers.async)
    t.test(`${name}: what an asynchronous check rejects is a dead letter`, async (t) => {
      const event = newEvent({ topic: 'async', payloadText: JSON.stringify({ ...good, id: 'ord_unknown' }) });
      await storeEvents(inbox, [event]);
      await runNext(inbox, [handlers.async!]);
      t.match(await rowOf(inbox, event), { status: 'FAILED', last_error: /schema at: body$/ });
    });
}
