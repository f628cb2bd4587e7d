// Batches: what stands beside the list goes into each event, as far as that stays in proportion to the body.
import t from 'tap';
import { splitBody, tooMany } from '../../src/providers/body/batch.ts';
import { type EventDraft, providers, readDrafts } from '../../src/providers/index.ts';
import { makeSource, postRequest } from './deliveries.ts';

function read(body: string): EventDraft[] {
  return readDrafts(makeSource(providers.line, 'secret'), postRequest(body), true);
}

/** A list of events, and beside it so many keys with so long a text in each. */
function batch(count: number, keys: number, chars: number): string {
  const beside = Array.from({ length: keys }, (_, at) => [`k${at}`, 'x'.repeat(chars)]);
  const events = Array.from({ length: count }, (_, at) => ({ type: 'message', webhookEventId: `e${at}` }));
  return JSON.stringify({ ...Object.fromEntries(beside), events });
}

const keptBytes = (drafts: EventDraft[]) =>
  drafts.reduce(
    (sum, { payloadText, rawBody }) => sum + (payloadText?.length ?? 0) + (rawBody?.length ?? 0),
    0,
  );

t.test('events keep what stands beside their list', (t) => {
  t.same(splitBody({ a: 1, b: { c: 2, d: [3, 4] } }, 'b.d'), [
    { a: 1, b: { c: 2, d: [3] } },
    { a: 1, b: { c: 2, d: [4] } },
  ]);
  t.equal(splitBody({ a: [1] }, 'b'), undefined);
  const events = read(batch(1_000, 2, 100));
  t.equal(events.length, 1_000);
  t.equal(events[999]?.eventId, 'e999');
  t.match(JSON.parse(events[999]?.payloadText ?? ''), {
    k0: /^x{100}$/,
    events: [{ webhookEventId: 'e999' }],
  });
  t.end();
});

t.test('what is kept of a batch grows with its body, not with its square', (t) => {
  const sizes = [250, 500, 1_000, 2_000].map((count) => batch(count, 1, count * 60));
  for (const body of sizes) t.ok(keptBytes(read(body)) < 20 * body.length, `${body.length} bytes`);
  const [event, ...others] = read(sizes[3] ?? '');
  t.same(others, []);
  t.match(event, { payloadError: 'too_many', eventId: /^sha256:/ }, 'not the id of one of its events');
  t.equal(String(event?.rawBody), sizes[3], 'nothing of it is lost');
  t.end();
});

t.test('many keys beside many events are not copied for each', (t) => {
  const body: Record<string, unknown> = Object.fromEntries(Array.from({ length: 1_000 }, (_, at) => [at, 1]));
  t.equal(splitBody({ ...body, events: Array(1_000).fill(1) }, 'events'), tooMany);
  t.match(read(batch(1_000, 1_000, 1)), [{ payloadError: 'too_many' }]);
  t.end();
});
