// The demo's patience: a slow machine is waited for, a standstill is not.
import t from 'tap';
import { createPatience } from '../../src/demo/patience.ts';

t.test('it goes on while the count moves, however long that takes', async (t) => {
  let left = 8;
  const patience = createPatience(1_000);
  const moving = setInterval(() => left--, 300);
  await patience.waitForNone(async () => Math.max(0, left));
  clearInterval(moving);
  t.ok(left <= 0);
});

t.test('it ends at a standstill, and does not begin again', async (t) => {
  const patience = createPatience(50);
  let looks = 0;
  const standing = async () => {
    looks++;
    return 3;
  };
  await patience.waitForNone(standing);
  t.ok(looks > 1);
  looks = 0;
  await patience.waitForNone(standing);
  t.equal(looks, 1);
});
