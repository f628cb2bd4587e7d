// What a job that holds a lane may run at a time, whatever leaves it.
import t from 'tap';
import type { FetchedJob } from '../../src/queue/queue.ts';
import type { Entry } from '../../src/worker/job.ts';
import { JobBuffer } from '../../src/worker/job-buffer.ts';
import { newEvent } from '../support/inbox.ts';

const any = () => true;

function laneOf(...names: string[]): { buffer: JobBuffer; job: FetchedJob; entries: Entry[] } {
  const job: FetchedJob = {
    ...{ id: 'job', retryCount: 0, isIsolated: false, hasUnchargedLoss: false, lostBefore: 0, lane: 'crm' },
    events: names.map((eventId) => ({ source: 'stripe', eventId })),
  };
  const entries = names.map((name) => {
    const event = newEvent({ eventId: name }) as unknown as Entry['event'];
    return { key: name, job, event, plan: { kind: 'ignore', reason: '' } } as Entry;
  });
  const buffer = new JobBuffer();
  buffer.hold(job, entries);
  return { buffer, job, entries };
}

const keys = (entries: readonly Entry[]) => entries.map(({ key }) => key);

t.test('one entry is ready at a time, in order', async (t) => {
  const { buffer, job, entries } = laneOf('a', 'b');
  t.strictSame(keys(buffer.take(any, 9)), ['a']);
  t.strictSame(keys(buffer.take(any, 9)), [], 'while it runs');
  t.equal(buffer.finish(entries[0]!), undefined);
  t.strictSame(keys(buffer.take(any, 9)), ['b']);
  t.equal(buffer.finish(entries[1]!), job, 'the last one ends the job');
});

t.test('entries that are taken out while another runs start none', async (t) => {
  const { buffer, entries } = laneOf('a', 'paused-1', 'b', 'paused-2', 'c');
  buffer.take(any);
  const taken = buffer.takeOut(({ key }) => key.startsWith('paused'));
  t.strictSame(keys(taken), ['paused-1', 'paused-2']);
  for (const entry of taken) buffer.finish(entry);
  t.strictSame(keys(buffer.take(any, 9)), [], 'the first one still runs');
  buffer.finish(entries[0]!);
  t.strictSame(keys(buffer.take(any, 9)), ['b']);
});

t.test('a lane with a locked row is given to others once it runs nothing', async (t) => {
  const { buffer, job, entries } = laneOf('a', 'b', 'c', 'd');
  const [a, b, c] = entries as [Entry, Entry, Entry, Entry];
  buffer.take(any);
  t.strictSame(keys(buffer.takeBehind(a, ({ key }) => key !== 'd', 9)), ['b', 'c'], 'a batch');
  buffer.waitForLock(b, 0);
  t.strictSame(buffer.lockedLanes(), [], 'the others run');
  buffer.finish(a);
  t.strictSame(buffer.lockedLanes(), []);
  buffer.finish(c);
  t.strictSame(buffer.lockedLanes(), [job]);
  t.strictSame(keys(buffer.take(any, 9)), [], 'nothing starts in the meantime');
  t.strictSame(keys(buffer.takeWaiting()), ['d']);
  buffer.leaveLane(job);
  t.strictSame(buffer.lockedLanes(), []);
});

t.test('a batch ends at the first entry that does not fit', async (t) => {
  const { buffer, entries } = laneOf('a', 'b', 'other', 'c');
  buffer.take(any);
  t.strictSame(keys(buffer.takeBehind(entries[0]!, ({ key }) => key !== 'other', 9)), ['b']);
});
