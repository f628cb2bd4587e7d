// Splits a body that carries several events.
import { valueAt } from './body.ts';

/**
 * One body of the provider's own shape for each element of the list at `key`: it keeps what stands beside the list
 * (the account, the time), so that each event says enough alone. Undefined where there is no such list.
 */
export function splitBody(body: unknown, key: string): object[] | undefined {
  const list = valueAt(body, [key]);
  return Array.isArray(list) ? list.map((one) => ({ ...(body as object), [key]: [one] })) : undefined;
}
