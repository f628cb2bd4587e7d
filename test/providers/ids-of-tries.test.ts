// Ids where a second try looks unlike the first, or a second event like the first: Wise, Printful, Supabase, Revolut, Attio.
import t from 'tap';
import { type Provider, providers, readDrafts, verifyDelivery } from '../../src/providers/index.ts';
import { makeSigned } from './deliveries.ts';

const { attio, close, printful, revolut, supabase, wise } = providers;
const hourMs = 3600 * 1000;

const idOf = (provider: Provider, body: string, id?: string, now?: Date) => {
  const { source, delivery } = makeSigned(provider, { body, ...(id ? { id } : {}), ...(now ? { now } : {}) });
  return readDrafts(source, delivery)[0]?.eventId;
};

t.test('Wise: all but the time of sending is the event', (t) => {
  const body = (sentAt: string, state: string) =>
    JSON.stringify({
      data: { resource: { id: 1 }, current_state: state, occurred_at: '2026-11-23T09:59:59Z' },
      subscription_id: 's',
      event_type: 'transfers#state-change',
      sent_at: sentAt,
    });
  const first = idOf(wise, body('2026-11-23T10:00:00Z', 'processing'));
  t.equal(idOf(wise, body('2026-11-23T10:05:00Z', 'processing')), first);
  t.not(idOf(wise, body('2026-11-23T10:00:00Z', 'cancelled')), first);
  t.match(idOf(wise, '{"event_type":"x"}'), /^sha256:/, 'an unknown shape is known by its bytes');
  t.end();
});

t.test('Wise: two ids that JavaScript rounds to one number are two events', (t) => {
  const body = (id: string) =>
    `{"data":{"resource":{"id":${id}}},"subscription_id":"s","event_type":"x","sent_at":"2026-11-23T10:00:00Z"}`;
  t.not(idOf(wise, body('9007199254740992')), idOf(wise, body('9007199254740993')));
  t.end();
});

t.test('Printful: the count of tries is not part of the event', (t) => {
  const body = (retries: number, order: number) =>
    JSON.stringify({
      type: 'order_failed',
      occurred_at: '2026-11-23T09:59:59Z',
      retries,
      store_id: 1,
      data: { order },
    });
  t.equal(idOf(printful, body(3, 1)), idOf(printful, body(0, 1)));
  t.not(idOf(printful, body(0, 2)), idOf(printful, body(0, 1)));
  t.end();
});

t.test('Supabase: the hook is the event where it is named, else the try', (t) => {
  const named = '{"metadata":{"uuid":"8f3a1c52","name":"send-sms"}}';
  t.equal(idOf(supabase, named, 'try-1'), idOf(supabase, named, 'try-2'));
  t.not(idOf(supabase, '{"sms":{}}', 'try-1'), idOf(supabase, '{"sms":{}}', 'try-2'));
  t.end();
});

t.test('Revolut: a payment declined twice is two events, an order completed twice is one', (t) => {
  const now = new Date('2026-11-23T10:00:00.000Z');
  const later = new Date(now.getTime() + hourMs);
  const body = (event: string) => JSON.stringify({ event, order_id: 'o' });
  const ids = (event: string) => [now, later].map((at) => idOf(revolut, body(event), undefined, at));
  const [declined, again] = ids('ORDER_PAYMENT_DECLINED');
  t.not(declined, again);
  const [completed, repeated] = ids('ORDER_COMPLETED');
  t.equal(completed, repeated);
  t.end();
});

t.test('Attio: each event of a list has an id of its own under the key of the delivery', (t) => {
  const body = JSON.stringify({
    webhook_id: 'w',
    events: [{ event_type: 'note.created' }, { event_type: 'task.created' }],
  });
  const { source, delivery } = makeSigned(attio, { body, id: 'key-1' });
  const events = readDrafts(source, delivery);
  t.strictSame(
    events.map(({ topic }) => topic),
    ['note.created', 'task.created'],
  );
  t.ok(events.every(({ eventId }) => eventId.startsWith('key-1:')));
  t.not(events[0]?.eventId, events[1]?.eventId);
  t.end();
});

t.test('Close: no digit can change sides between the time and the body', async (t) => {
  const { source, delivery } = makeSigned(close);
  const [time = ''] = delivery.headers['close-sig-timestamp'] ?? [];
  const cut = {
    ...delivery,
    headers: { ...delivery.headers, 'close-sig-timestamp': [time.slice(0, -1)] },
    body: Buffer.concat([Buffer.from(time.slice(-1)), delivery.body]),
  };
  t.match(await verifyDelivery(source, cut), { reason: 'too_old' });
});
