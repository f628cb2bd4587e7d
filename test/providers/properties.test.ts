// Of every provider, for any request at all: no verifier throws, none believes without the key, and what was verified can
// always be read. The seed is printed; PROPERTY_SEED repeats a run, PROPERTY_RUNS lengthens it.
import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import {
  answerHandshake,
  type Delivery,
  type EventDraft,
  type HandshakeAnswer,
  type Provider,
  providers,
  type Rejection,
  readDrafts,
  type Source,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { alteredDelivery, anyBody, anyDelivery } from './arbitrary.ts';
import { firstTopic, makeSigned, makeSource, secretOf } from './deliveries.ts';

const seed = Number(process.env.PROPERTY_SEED ?? randomInt(2 ** 31));
const numRuns = Number(process.env.PROPERTY_RUNS ?? 40);
process.stderr.write(`property tests: PROPERTY_SEED=${seed}\n`);

/** As a verifier would be called in a process without a network. */
const fetchText = async (): Promise<string> => {
  throw new Error('no network');
};

async function holds<T>(arbitrary: fc.Arbitrary<T>, property: (value: T) => Promise<void>): Promise<void> {
  await fc.assert(fc.asyncProperty(arbitrary, property), { seed, numRuns });
}

for (const provider of Object.values<Provider>(providers))
  t.test(provider.name, async (t) => {
    const { delivery: right, source } = makeSigned(provider, { topic: firstTopic(provider) });
    const stranger = { ...makeSource(provider, secretOf(provider, 1).secret), fetchText };

    const isRefused = async (of: Source, delivery: Delivery) => {
      const verdict = await verifyDelivery(of, delivery);
      if (verdict.ok) throw new Error('it was believed');
      refuseFault(verdict);
    };
    await holds(anyDelivery(provider, right), (delivery) => isRefused(stranger, delivery));
    t.pass('no request is believed without the key');
    await holds(alteredDelivery(provider, right), (delivery) => isRefused(stranger, delivery));
    t.pass('nor one that was signed with another key, whatever is done to it');

    await holds(fc.tuple(anyDelivery(provider, right), anyBody(right.body)), async ([delivery, body]) => {
      for (const read of [delivery, { ...right, body }]) {
        for (const event of readDrafts(source, read)) checkEvent(event);
        provider.handover?.read(read);
        for (const phase of ['unsigned', 'verified'] as const)
          checkAnswer(answerHandshake(source, read, phase));
      }
    });
    t.pass('whatever was verified can be read and answered');
  });

/** A fault of ours refuses, too, but must not be what refuses. */
function refuseFault({ detail }: Rejection): void {
  if (detail?.startsWith('the verifier failed')) throw new Error(detail);
}

function checkEvent(event: EventDraft): void {
  const { eventId, topic, payloadText, payloadError, rawBody, occurredAt } = event;
  const problems = [
    eventId.length >= 1 && eventId.length <= 255 ? '' : 'the length of the id',
    topic.length >= 1 && topic.length <= 200 ? '' : 'the length of the topic',
    /\0/.test(eventId + topic) || !(eventId + topic).isWellFormed() ? 'text that Postgres refuses' : '',
    (payloadText === null) === (payloadError !== null) ? '' : 'payload and reason',
    payloadText !== null || rawBody !== null ? '' : 'nothing of the body is kept',
    occurredAt === null || !Number.isNaN(occurredAt.getTime()) ? '' : 'no time',
  ].filter((problem) => problem !== '');
  if (payloadText !== null) JSON.parse(payloadText);
  if (problems.length > 0) throw new Error(problems.join(', '));
}

/** Never an open echo. */
function checkAnswer(answer: HandshakeAnswer | undefined): void {
  if (!answer) return;
  if (answer.body.length > 2_048) throw new Error('a long answer');
  if (answer.body !== '' && !/^(text\/plain|application\/json)/.test(answer.contentType))
    throw new Error(answer.contentType);
  if (answer.contentType.startsWith('text/plain') && /[<>\r\n]/.test(answer.body))
    throw new Error('an answer that a browser could run');
  for (const value of Object.values(answer.headers ?? {}))
    if (/[\r\n\0]/.test(value)) throw new Error('a header of two lines');
}
