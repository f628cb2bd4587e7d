// The headers to store with an event: an allow-list, so that no secret is ever stored.
import type { Delivery, Source } from './provider.ts';

export const maxHeaderChars = 500;

const alwaysKept = ['content-type', 'user-agent'];

export function keptHeaders(source: Source, delivery: Delivery): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of alwaysKept) keep(kept, name, delivery);
  for (const name of source.provider.headers ?? []) keep(kept, name, delivery);
  return kept;
}

function keep(kept: Record<string, string>, name: string, delivery: Delivery): void {
  const values = delivery.headers[name];
  if (values && values.length > 0) kept[name] = values.join(', ').slice(0, maxHeaderChars);
}
