// Turns a request that Postbell built into the delivery that a receiver would get.
import type { Delivery, OutgoingRequest } from '../provider.ts';

export function asDelivery(request: OutgoingRequest, receivedAt: Date): Delivery {
  const { pathname, search } = new URL(request.url);
  const headers: Record<string, string[]> = {};
  for (const [name, value] of Object.entries(request.headers)) headers[name.toLowerCase()] = [value];
  return { method: request.method, url: pathname + search, headers, body: request.body, receivedAt };
}
