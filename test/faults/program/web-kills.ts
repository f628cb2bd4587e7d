// F1: the receiver killed at each place of a delivery's way.
import { isAck } from '../sender.ts';
import { webSites } from '../sites.ts';
import type { Fault } from './fault.ts';

export const webKills: Fault = {
  id: 'F1',
  title: `kill -9 of web at each of ${webSites.length} places`,
  run: async (context) => {
    const rounds = context.repeats(1, 20);
    const rig = await context.rig();
    const [healthy] = await Promise.all([rig.web(), rig.worker()]);
    const provider = rig.newSender({ urls: () => [healthy.url] });
    for (let round = 0; round < rounds; round++) {
      const kills = webSites.map(async ({ site, isStored }) => {
        const victim = await rig.web({ POSTBELL_FAILPOINT: `${site}:kill` });
        const id = `${site}_${round}`;
        const first = await rig.newSender({ urls: () => [victim.url] }).deliver({ id });
        const { signal } = await victim.exited;
        context.expect(signal === 'SIGKILL', `${site}: it ended by ${signal}`);
        context.expect(isAck(first) === (site === 'web.after-reply'), `${site}: answered ${first.status}`);
        const retry = await provider.deliverUntilAcked({ id });
        context.expect(retry.duplicate === isStored, `${site}: the retry was told ${retry.duplicate}`);
      });
      await Promise.all(kills);
    }
    context.note(`${rounds * webSites.length} kills`);
    await context.balance(rig);
  },
};
