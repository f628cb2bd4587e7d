// Verifies a Stripe delivery as a careful team writes it by hand; the same for all peers.
import { createHmac, timingSafeEqual } from 'node:crypto';

const toleranceSeconds = 300;

export interface StripeEvent {
  id: string;
  type: string;
  data: { object: { amount: number } };
}

/** The event, or undefined when the signature is wrong or too old. */
export function verify(body: Buffer, header: string | undefined, secret: string): StripeEvent | undefined {
  const parts = new Map((header ?? '').split(',').map((part) => part.split('=', 2) as [string, string]));
  const seconds = parts.get('t');
  const given = Buffer.from(parts.get('v1') ?? '', 'hex');
  if (!seconds || Math.abs(Date.now() / 1_000 - Number(seconds)) > toleranceSeconds) return undefined;
  const expected = createHmac('sha256', secret).update(`${seconds}.`).update(body).digest();
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  return JSON.parse(body.toString()) as StripeEvent;
}
