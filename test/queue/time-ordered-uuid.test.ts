// Version 7 of RFC 9562: the layout of its example, the order, the randomness.
import t from 'tap';
import { timeOfUuid, timeOrderedUuid } from '../../src/queue/time-ordered-uuid.ts';

const layout = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

t.test('has the time of the example in RFC 9562, A.6, and its layout', async (t) => {
  const uuid = timeOrderedUuid(Date.parse('2022-02-22T19:22:22Z'));
  t.match(uuid, layout);
  t.equal(uuid.slice(0, 15), '017f22e2-79b0-7');
  t.equal(timeOfUuid(uuid), Date.parse('2022-02-22T19:22:22Z'));
  t.equal(timeOfUuid('6f1f1a0e-6d3c-4d5c-9a59-6b0f5c2f8a11'), undefined, 'a random UUID has none');
  t.match(timeOrderedUuid(0), layout);
  t.match(timeOrderedUuid(), layout);
});

t.test('a later one sorts behind an earlier one', async (t) => {
  const timesMs = [0, 15, 16, 0xffff, 0x10000, Date.now(), Date.now() + 1, 2 ** 48 - 1];
  const uuids = timesMs.map((ms) => timeOrderedUuid(ms));
  t.same(uuids.toSorted(), uuids);
});

t.test('every digit behind the time is random, but for version and variant', async (t) => {
  const uuids = Array.from({ length: 2_000 }, () => timeOrderedUuid(1));
  t.equal(new Set(uuids).size, uuids.length);
  const digitsSeen = (at: number) => new Set(uuids.map((uuid) => uuid.replaceAll('-', '')[at])).size;
  for (let at = 13; at < 32; at++) t.equal(digitsSeen(at), at === 16 ? 4 : 16, `digit ${at}`);
});
