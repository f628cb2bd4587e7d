// OpenTelemetry with a real SDK: which spans a delivery and its attempts make, what is in them, and nothing without an SDK.
import { context, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-node';
import t, { type Test } from 'tap';
import { defineHandler, Later } from '../../src/index.ts';
import { acceptDrafts } from '../../src/receive/accept.ts';
import { createReceiver } from '../../src/receive/receiver.ts';
import { activeTraceparent, activeTracer } from '../../src/tracing.ts';
import { makeDue, runJobs, takeJob } from '../support/attempt.ts';
import { newEvent, openInbox } from '../support/inbox.ts';

const inbox = await openInbox(t);
const provider = 'stripe';
const topic = 'invoice.paid';
let sent = 0;

/** Accepts a delivery of events with these ids, as the webhook route does. */
async function receive(ids: readonly string[]): Promise<void> {
  const receiver = createReceiver({ ...inbox, timeoutMs: 10_000, queueMax: 100 });
  const drafts = ids.map((eventId) => ({ ...newEvent({ eventId, topic }), payloadError: null }));
  await acceptDrafts(receiver, { source: provider, provider, drafts, headers: {}, body: Buffer.alloc(1) });
  await receiver.close();
}

const newId = () => `evt_traced_${sent++}`;
const rowOf = async (id: string) =>
  (
    await inbox.sql(
      'SELECT traceparent, pg_column_size(e.*) AS bytes FROM webhook_events e WHERE event_id = $1',
      [id],
    )
  )[0]!;

t.test('without an SDK there is no tracer, and the row has no trace context', async (t) => {
  const id = newId();
  t.equal(activeTracer(), undefined);
  await receive([id]);
  t.same((await rowOf(id)).traceparent, null);
  await runJobs(inbox, [await takeJob(inbox)], [defineHandler({ provider, topic, handle: async () => {} })]);
  const line = inbox.logs.find(({ eventId, msg }) => eventId === id && msg === 'attempt');
  t.ok(line);
  t.notOk('trace_id' in line!);
});

const exporter = new InMemorySpanExporter();
t.test('with an SDK', async (t) => {
  new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
  t.beforeEach(async () => {
    exporter.reset();
    inbox.logs.length = 0;
    await inbox.sql('DELETE FROM pgboss.job');
  });
  t.test('an attempt is a trace of its own, linked to the span of the delivery', linked);
  t.test('a failure names the class of its error, and none of its text', named);
  t.test('Later is no error', deferred);
  t.test('a transaction that events share has a span per event', shared);
  t.test('a batch is one span with a link per event', batched);
  t.test('a forged trace context in the row is no link', forged);
});

const spansOf = (name: string) => exporter.getFinishedSpans().filter((span) => span.name === name);
const textOf = (span: ReadableSpan) => {
  const { traceId, spanId } = span.spanContext();
  return `00-${traceId}-${spanId}-01`;
};

async function linked(t: Test): Promise<void> {
  const id = newId();
  const tracer = trace.getTracer('team');
  await tracer.startActiveSpan('POST', async (http: Span) => {
    await receive([id]);
    http.end();
  });
  const [[received], [http]] = [spansOf('receive stripe'), spansOf('POST')];
  t.equal(received!.kind, SpanKind.CLIENT);
  t.equal(received!.parentSpanContext?.spanId, http!.spanContext().spanId, 'inside the span of the request');
  t.same(received!.attributes, {
    'messaging.system': 'postbell',
    'messaging.destination.name': 'stripe',
    'messaging.operation.name': 'receive',
    'messaging.operation.type': 'receive',
    'messaging.message.id': id,
    'postbell.outcome': 'accepted',
  });
  const { traceparent, bytes } = await rowOf(id);
  t.equal(traceparent, textOf(received!));
  await inbox.sql('UPDATE webhook_events SET traceparent = NULL WHERE event_id = $1', [id]);
  t.comment(`bytes of the row: ${bytes} with a trace context, ${(await rowOf(id)).bytes} without`);
  await inbox.sql('UPDATE webhook_events SET traceparent = $2 WHERE event_id = $1', [id, traceparent]);

  let forwarded: string | undefined;
  const handle = async ({ log }: { log: typeof inbox.log }) => {
    forwarded = activeTraceparent();
    tracer.startActiveSpan('charge', (span) => span.end());
    log.info('of the handler');
  };
  await runJobs(inbox, [await takeJob(inbox)], [defineHandler({ provider, topic, handle })]);
  const [[processed], [charge]] = [spansOf('process stripe'), spansOf('charge')];
  t.equal(processed!.kind, SpanKind.CONSUMER);
  t.equal(processed!.parentSpanContext, undefined);
  t.not(processed!.spanContext().traceId, received!.spanContext().traceId);
  t.same(
    processed!.links.map((link) => link.context.spanId),
    [received!.spanContext().spanId],
  );
  t.match(processed!.attributes, { 'messaging.message.id': id, 'postbell.outcome': 'processed' });
  t.equal(
    charge!.parentSpanContext?.spanId,
    processed!.spanContext().spanId,
    "the handler's span is its child",
  );
  t.equal(forwarded, textOf(processed!), 'what forwardTo sends');
  const { traceId: trace_id, spanId: span_id } = processed!.spanContext();
  for (const msg of ['of the handler', 'attempt'])
    t.match(
      inbox.logs.find((line) => line.msg === msg),
      { trace_id, span_id },
      msg,
    );
  t.equal(trace.getSpan(context.active()), undefined, 'no span stays active');
}

async function named(t: Test): Promise<void> {
  await receive([newId()]);
  class CardDeclined extends Error {}
  const handle = async () => {
    throw new CardDeclined('4242 4242 4242 4242');
  };
  await runJobs(inbox, [await takeJob(inbox)], [defineHandler({ provider, topic, handle })]);
  const [span] = spansOf('process stripe');
  t.match(span!.attributes, { 'error.type': 'CardDeclined', 'postbell.outcome': 'failed' });
  t.same(span!.status, { code: SpanStatusCode.ERROR });
  t.same(span!.events, []);
  t.notMatch(JSON.stringify([span!.attributes, span!.status]), /4242/);
}

async function deferred(t: Test): Promise<void> {
  await receive([newId()]);
  const handle = async () => {
    throw new Later({ afterSeconds: 1, reason: 'not yet' });
  };
  await runJobs(inbox, [await takeJob(inbox)], [defineHandler({ provider, topic, handle })]);
  const [span] = spansOf('process stripe');
  t.match(span!.attributes, { 'postbell.outcome': 'deferred' });
  t.equal(span!.status.code, SpanStatusCode.UNSET);
}

async function shared(t: Test): Promise<void> {
  const ids = [newId(), newId(), newId()];
  await receive(ids);
  const [received] = spansOf('receive stripe');
  t.equal(received!.attributes['messaging.batch.message_count'], 3);
  const jobs = await inbox.queue.fetch(3);
  await runJobs(inbox, jobs, [defineHandler({ provider, topic, handle: async () => {} })]);
  const spans = spansOf('process stripe');
  t.same(spans.map((span) => span.attributes['messaging.message.id']).sort(), ids);
  for (const span of spans) t.equal(span.links[0]!.context.spanId, received!.spanContext().spanId);
}

async function batched(t: Test): Promise<void> {
  for (let n = 0; n < 3; n++) await receive([newId()]);
  const received = spansOf('receive stripe').map((span) => span.spanContext().spanId);
  const jobs = await inbox.queue.fetch(3);
  const handler = defineHandler({ provider, topic, handle: async () => {}, batch: async () => {} });
  await runJobs(inbox, jobs, [handler]);
  const spans = spansOf('process stripe');
  t.equal(spans.length, 1);
  t.equal(spans[0]!.attributes['messaging.batch.message_count'], 3);
  t.same(spans[0]!.links.map((link) => link.context.spanId).sort(), received.sort());
  t.equal(new Set(inbox.logs.filter(({ msg }) => msg === 'attempt').map((line) => line.span_id)).size, 1);
}

async function forged(t: Test): Promise<void> {
  const id = newId();
  await receive([id]);
  await inbox.sql(`UPDATE webhook_events SET traceparent = 'x' WHERE event_id = $1`, [id]);
  await makeDue(inbox);
  await runJobs(inbox, [await takeJob(inbox)], [defineHandler({ provider, topic, handle: async () => {} })]);
  t.same(spansOf('process stripe')[0]!.links, []);
}
