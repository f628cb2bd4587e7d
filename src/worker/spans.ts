// The span of an attempt: from the start of its handlers to its outcome. Without a tracer an entry has none.
import type { Handler } from '../handlers/handler.ts';
import { activeTracer, endSpan, type Span, startProcess } from '../tracing.ts';
import type { Entry, Outcome } from './job.ts';

export function beginAttempt(entry: Entry): void {
  const tracer = activeTracer();
  if (tracer) entry.span = startProcess(tracer, entry.event.source, [entry.event]);
}

/** One span for all, named by their source, or by the handler's provider where they have several. */
export function beginBatch(handler: Handler, entries: readonly Entry[]): Span | undefined {
  const tracer = activeTracer();
  if (!tracer) return undefined;
  const events = entries.map(({ event }) => event);
  const sources = new Set(events.map(({ source }) => source));
  const [source = handler.provider] = sources.size === 1 ? sources : [];
  const span = startProcess(tracer, source, events);
  for (const entry of entries) entry.span = span;
  return span;
}

/** @param outcome `rolled_back`: together with others, and it runs again. @param error of a failure */
export function endAttempt(entry: Entry, outcome: Outcome['kind'] | 'rolled_back', error?: unknown): void {
  if (!entry.span) return;
  endSpan(entry.span, outcome, outcome === 'failed' ? error : undefined);
  entry.span = undefined;
}
