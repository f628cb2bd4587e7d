// OpenTelemetry by its API alone. Without an SDK in the process there is no tracer: nothing is made, written or logged.
import {
  context,
  isSpanContextValid,
  type Link,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';

export type { Span, Tracer };

/** An event in the attributes and links of a span. */
interface TracedEvent {
  eventId: string;
  /** Of the span in which the event was received; null: none was. */
  traceparent?: string | null;
}

const scope = 'postbell';

/** Undefined where no SDK is registered. To be asked per use: an SDK may register later than this module is loaded. */
export function activeTracer(): Tracer | undefined {
  const provider = trace.getTracerProvider();
  // The API's own provider stands in for the SDK's; without an SDK its tracer would make spans that nobody gets.
  return provider instanceof ProxyTracerProvider
    ? provider.getDelegateTracer(scope)
    : provider.getTracer(scope);
}

/** From the verified delivery to its commit; inside the span of the HTTP request, if that is traced. */
export function startReceive(tracer: Tracer, source: string, events: readonly TracedEvent[]): Span {
  return tracer.startSpan(`receive ${source}`, {
    kind: SpanKind.CLIENT,
    attributes: attributesOf('receive', source, events),
  });
}

/** A trace of its own, hours later perhaps, linked to the spans in which the events were received. */
export function startProcess(tracer: Tracer, source: string, events: readonly TracedEvent[]): Span {
  return tracer.startSpan(`process ${source}`, {
    kind: SpanKind.CONSUMER,
    root: true,
    attributes: attributesOf('process', source, events),
    links: events.flatMap(({ traceparent }): Link[] => {
      const linked = readTraceparent(traceparent);
      return linked ? [{ context: linked }] : [];
    }),
  });
}

/** By the conventions for messaging. */
function attributesOf(operation: 'receive' | 'process', source: string, events: readonly TracedEvent[]) {
  const [first] = events;
  return {
    'messaging.system': 'postbell',
    'messaging.destination.name': source,
    'messaging.operation.name': operation,
    'messaging.operation.type': operation,
    ...(first && events.length === 1
      ? { 'messaging.message.id': first.eventId }
      : { 'messaging.batch.message_count': events.length }),
  };
}

/** Does nothing if the span has ended. @param error its class is named, never its text, which may hold a customer's data */
export function endSpan(span: Span, outcome: string, error?: unknown): void {
  if (!span.isRecording()) return;
  span.setAttribute('postbell.outcome', outcome);
  if (error !== undefined) {
    span.setAttribute('error.type', classOf(error));
    span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}

function classOf(error: unknown): string {
  return error instanceof Error ? error.constructor.name : typeof error;
}

/** The team's own spans become children of `span`. */
export function inSpan<T>(span: Span, work: () => T): T {
  return context.with(trace.setSpan(ROOT_CONTEXT, span), work);
}

/** The fields that tools look for in log lines. */
export function logFieldsOf(span: Span): { trace_id: string; span_id: string } {
  const { traceId, spanId } = span.spanContext();
  return { trace_id: traceId, span_id: spanId };
}

/** For the event's row; null where the span is not sampled: a link would lead nowhere. */
export function traceparentOf(span: Span): string | null {
  const spanContext = span.spanContext();
  return spanContext.traceFlags & TraceFlags.SAMPLED ? traceparentText(spanContext) : null;
}

/** Of the span that is active; undefined: there is none. */
export function activeTraceparent(): string | undefined {
  const spanContext = trace.getSpanContext(context.active());
  return spanContext && isSpanContextValid(spanContext) ? traceparentText(spanContext) : undefined;
}

function traceparentText({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}

function readTraceparent(text: string | null | undefined): SpanContext | undefined {
  const [, traceId, spanId, flags] =
    /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(text ?? '') ?? [];
  if (!traceId || !spanId || !flags) return undefined;
  const spanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return isSpanContextValid(spanContext) ? spanContext : undefined;
}
