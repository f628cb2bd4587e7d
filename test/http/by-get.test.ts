// Deliveries by GET on a real socket: only where the provider sends them, only signed, and with all that they say.
import { createHmac } from 'node:crypto';
import t from 'tap';
import type { NewEvent } from '../../src/events/event.ts';
import { providers } from '../../src/providers/index.ts';
import { makeSource } from '../providers/deliveries.ts';
import { openRouteTo } from '../support/route.ts';

const { dropbox, github, twilio } = providers;
const SECRET = 'a-secret-of-sixteen';

t.test('a GET that Twilio signed is an event; any other is none', async (t) => {
  const stored: NewEvent[] = [];
  const receiver = {
    submit: async (events: readonly NewEvent[]) => {
      stored.push(...events);
      return { duplicate: false };
    },
    waiting: () => 0,
    close: async () => {},
  };
  const webhookUrl = 'https://shop.example.com/webhooks/twilio';
  const { ask, rejections } = openRouteTo(
    t,
    receiver,
    { ...makeSource(twilio, SECRET), webhookUrl },
    makeSource(github, SECRET),
    makeSource(dropbox, SECRET),
  );
  const query = '?CallSid=CA1&CallStatus=ringing&From=%2B15005550006&Body=Ring+%C3%A4';
  const signature = createHmac('sha1', SECRET)
    .update(webhookUrl + query)
    .digest('base64');
  const headers = { 'x-twilio-signature': signature, 'i-twilio-idempotency-token': 'token-1' };

  t.equal((await ask(`/webhooks/twilio${query}`, { headers })).status, 200);
  t.match(stored, [
    {
      source: 'twilio',
      eventId: 'token-1',
      topic: 'call.ringing',
      payloadText: '{"CallSid":"CA1","CallStatus":"ringing","From":"+15005550006","Body":"Ring ä"}',
      uniqueBody: true,
    },
  ]);
  for (const path of [query, `${query}&x=1`, query.replace('CA1', 'CA2'), ''])
    t.equal((await ask(`/webhooks/twilio${path}`)).status, 401, `unsigned ${path}`);
  t.equal((await ask(`/webhooks/twilio${query}&x=1`, { headers })).status, 401, 'another query');
  t.strictSame(rejections, [...Array(4).fill('missing_header'), 'wrong_signature']);
  t.equal((await ask('/webhooks/twilio', { method: 'HEAD' })).status, 405);
  t.equal((await ask(`/webhooks/github${query}`, { headers })).status, 405, 'where only POST is sent');
  t.equal((await ask(`/webhooks/dropbox${query}`, { headers })).status, 400, 'where a GET is a handshake');
  t.equal(stored.length, 1);
});
