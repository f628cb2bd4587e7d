// Ids where providers send none: what is one event stays one, and what only looks the same does not become one.
import t from 'tap';
import { answerHandshake, type Provider, providers, readDrafts } from '../../src/providers/index.ts';
import { fixedNow, makeSigned, makeSource } from './deliveries.ts';

const { acuity, docusign, doppler, kontentAi, mailerlite, mautic, messagebird, mux, onfleet, vonage } = {
  ...providers,
  kontentAi: providers['kontent-ai'],
};

function idsOf(provider: Provider, body: string, secondsLater = 0): string[] {
  const now = new Date(fixedNow.getTime() + secondsLater * 1000);
  const { source, delivery } = makeSigned(provider, { body, now });
  return readDrafts(source, delivery).map(({ eventId }) => eventId);
}

t.test('Acuity: what happens once is one event, what can happen again is not', (t) => {
  const form = (action: string) => `action=${action}&id=1019381837&calendarID=1&appointmentTypeID=10`;
  for (const action of ['scheduled', 'order.completed'])
    t.same(
      [idsOf(acuity, form(action)), idsOf(acuity, form(action), 60)],
      [[`${action}:1019381837`], [`${action}:1019381837`]],
    );
  for (const action of ['changed', 'rescheduled', 'canceled'])
    t.notSame(idsOf(acuity, form(action)), idsOf(acuity, form(action), 60), action);
  t.end();
});

t.test('Doppler and Kontent.ai: equal bodies at another time are other events', (t) => {
  const doppled = '{"type":"config.secrets.update","config":{"name":"dev"}}';
  t.notSame(idsOf(doppler, doppled), idsOf(doppler, doppled, 1));
  t.notSame(idsOf(doppler, doppled), idsOf(doppler, '{"custom":1}'), 'at one time two bodies are two events');
  const notification = (id: string) =>
    `{"data":{"system":{"id":"${id}"}},"message":{"object_type":"asset","action":"created"}}`;
  const batch = `{"notifications":[${notification('a')},${notification('b')}]}`;
  const ids = idsOf(kontentAi, batch);
  t.equal(new Set(ids).size, 2);
  t.notSame(ids, idsOf(kontentAi, batch, 1));
  t.end();
});

t.test('DocuSign and Mux: counting the attempts in the body makes no new event', (t) => {
  const attempt = (retryCount: number, recipient = '') =>
    `{"event":"envelope-sent","retryCount":${retryCount},"generatedDateTime":"2026-11-23T09:59:00.1Z","data":{"envelopeId":"e"${recipient}}}`;
  t.same(idsOf(docusign, attempt(3)), idsOf(docusign, attempt(0)));
  const recipients = ['1', '2'].map((id) => idsOf(docusign, attempt(0, `,"recipientId":"${id}"`)));
  t.notSame(recipients[0], recipients[1], 'two recipients at one time are two events');
  const event = (attempts: string) => `{"id":"evt","type":"video.asset.ready","attempts":[${attempts}]}`;
  t.same(idsOf(mux, event('{"id":"1"}')), idsOf(mux, event('')));
  t.end();
});

t.test('Mautic: every event of every type is read, in a list or alone', (t) => {
  const body =
    '{"mautic.a":[{"timestamp":"2026-11-23T09:59:00+00:00"},{"n":2}],"mautic.b":{"n":3},"mautic.c":[]}';
  const { source, delivery } = makeSigned(mautic, { body });
  const events = readDrafts(source, delivery);
  t.match(events, [
    { topic: 'mautic.a', occurredAt: new Date('2026-11-23T09:59:00Z') },
    { topic: 'mautic.a', occurredAt: null, payloadText: '{"mautic.a":[{"n":2}]}' },
    { topic: 'mautic.b', payloadText: '{"mautic.b":[{"n":3}]}' },
  ]);
  t.equal(events.length, 3);
  for (const odd of ['[]', '{}', '7', 'null'])
    t.match(idsOf(mautic, odd), [/^sha256:/], 'what is none is stored as it came');
  t.end();
});

t.test('MailerLite: joining a group again is another event, being created is not', (t) => {
  const body = (type: string) => `{"type":"${type}","subscriber":{"id":"1"},"group":{"id":"9"}}`;
  const joined = body('subscriber.added_to_group');
  t.notSame(idsOf(mailerlite, joined), idsOf(mailerlite, joined, 60));
  const created = '{"event":"subscriber.created","id":"1","created_at":"2026-11-23 09:59:00"}';
  t.same(idsOf(mailerlite, created), idsOf(mailerlite, created, 60));
  const { source, delivery } = makeSigned(mailerlite, { body: created });
  t.match(readDrafts(source, delivery), [{ topic: 'subscriber.created' }]);
  const batch = `{"events":[${joined},${joined.replace('"1"', '"2"')}]}`;
  t.equal(new Set(idsOf(mailerlite, batch)).size, 2);
  t.end();
});

t.test('Onfleet gets its check back as plain text', (t) => {
  const source = makeSource(onfleet, '00'.repeat(32));
  const ask = (query: string) =>
    answerHandshake(
      source,
      { method: 'GET', url: `/x${query}`, headers: {}, body: Buffer.alloc(0), receivedAt: fixedNow },
      'unsigned',
    );
  t.match(ask('?check=12ab'), { status: 200, body: '12ab', contentType: /^text\/plain/ });
  t.equal(ask(''), undefined);
  t.equal(ask('?check=%3Cscript%3E'), undefined, 'no HTML');
  t.equal(ask('?check=a&check=b'), undefined);
  t.end();
});

t.test('MessageBird and Vonage: two changes of one message within a second are two events', (t) => {
  const bird = (status: string) =>
    `{"type":"message.updated","message":{"id":"m","status":"${status}","updatedDatetime":"2026-11-23T09:59:59Z"}}`;
  t.notSame(idsOf(messagebird, bird('sent')), idsOf(messagebird, bird('delivered')));
  t.same(idsOf(messagebird, bird('sent')), idsOf(messagebird, bird('sent'), 60));
  const vonaged = (time: string) => `{"message_uuid":"m","status":"read","timestamp":"${time}"}`;
  t.notSame(idsOf(vonage, vonaged('2026-11-23T09:59:58Z')), idsOf(vonage, vonaged('2026-11-23T09:59:59Z')));
  t.end();
});
