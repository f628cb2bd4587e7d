// The receiver killed at each place of a delivery's way: no answer is ever a lie, and the retry mends it (F1).
import t from 'tap';
import { createTestDatabase } from '../support/database.ts';
import { openRig } from './rig.ts';
import { isAck } from './sender.ts';
import { webSites } from './sites.ts';

const { url } = await createTestDatabase(t);

t.test('kill -9 of web at any place loses and doubles nothing', async (t) => {
  const rig = await openRig(t, { url });
  await rig.worker();
  for (const { site, isStored } of webSites) {
    const eventId = `evt_${site}`;
    const victim = await rig.web({ POSTBELL_FAILPOINT: `${site}:kill` });
    const first = await rig.sender.deliver({ id: eventId });
    const { signal } = await victim.exited;
    t.equal(signal, 'SIGKILL', `${site}: it was killed`);
    t.equal(isAck(first), site === 'web.after-reply', `${site}: answered only after the commit`);
    await rig.settleSessions('postbell web');
    t.equal((await rig.status(eventId)) !== undefined, isStored, `${site}: stored only by the commit`);
  }
  await rig.web();
  for (const { site, isStored } of webSites) {
    const retry = await rig.sender.deliver({ id: `evt_${site}` });
    t.equal(retry.status, 200);
    t.equal(retry.duplicate, isStored, `${site}: the retry is told the truth`);
  }
  await rig.drain();
  t.same(await rig.check(), []);
});
