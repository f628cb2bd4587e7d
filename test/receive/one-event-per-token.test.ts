// Where a signature covers a token and not the event beside it (Mailgun, PayPal, …), a token is good for one event.
import t from 'tap';
import { type Provider, providers, readDrafts, verifyDelivery } from '../../src/providers/index.ts';
import { acceptDrafts } from '../../src/receive/accept.ts';
import { createReceiver } from '../../src/receive/receiver.ts';
import { makeSigned } from '../providers/deliveries.ts';
import { openInbox } from '../support/inbox.ts';

for (const [title, options] of Object.entries({
  'by default': {},
  'with REPEATED_BODIES=run': { runsRepeatedBodies: true },
}))
  t.test(`a captured token under another id and another topic runs nothing ${title}`, async (t) => {
    const inbox = await openInbox(t);
    const receiver = createReceiver({ ...inbox, timeoutMs: 30_000, queueMax: 10 });
    t.teardown(() => receiver.close());
    const { source: signed, delivery } = makeSigned(providers.mailgun as Provider, { topic: 'delivered' });
    const source = { ...signed, ...options };
    const forged = JSON.parse(delivery.body.toString()) as { 'event-data': Record<string, unknown> };
    Object.assign(forged['event-data'], { id: 'forged', event: 'unsubscribed' });
    const second = { ...delivery, body: Buffer.from(JSON.stringify(forged)) };
    for (const one of [delivery, second]) {
      t.match(
        await verifyDelivery(source, one),
        { ok: true },
        'the proof is right: nothing of the event is signed',
      );
      const verified = {
        source: source.name,
        provider: source.provider.name,
        drafts: readDrafts(source, one),
        headers: {},
        body: one.body,
      };
      t.match(await acceptDrafts(receiver, verified), { duplicate: false });
    }
    const rows = await inbox.sql(
      'SELECT topic, status, ignored_reason FROM webhook_events ORDER BY status DESC',
    );
    t.match(rows, [
      { topic: 'delivered', status: 'PENDING' },
      { topic: 'unsubscribed', status: 'IGNORED', ignored_reason: /suspected replay of/ },
    ]);
  });
