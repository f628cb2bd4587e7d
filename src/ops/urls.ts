// The addresses of the operators' page, each of which begins with /ops, their parameters, and the forms that are sent to them.
import type { FastifyRequest } from 'fastify';

/** The fields of a form; none where the request has no body. */
export function formOf({ body }: { body?: unknown }): URLSearchParams {
  return body instanceof URLSearchParams ? body : new URLSearchParams();
}

/** A field as a person typed it: on one line, without control characters. Empty where it is missing. */
export const lineOf = (form: URLSearchParams, name: string): string =>
  (form.get(name) ?? '').replaceAll(/\p{Cc}+/gu, ' ').trim();

export type Params = Readonly<Record<string, string | number | undefined>>;

/** @param path below /ops, e.g. `/events`; empty for the overview */
export function opsUrl(path: string, params: Params = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params))
    if (value !== undefined && value !== '') query.set(name, String(value));
  return `/ops${path}${query.size > 0 ? `?${query}` : ''}`;
}

/** An address of ours that a form sent back; the overview for any other text. */
export function ownUrl(text: string | null): string {
  const base = 'http://ops.invalid';
  if (!text || !URL.canParse(text, base)) return opsUrl('');
  const { origin, pathname, search } = new URL(text, base);
  return origin === base && /^\/ops(\/|$)/.test(pathname) ? pathname + search : opsUrl('');
}

/** The values of a parameter, of which there may be several. */
export function textsOf({ query }: FastifyRequest, name: string): string[] {
  const value = (query as Record<string, unknown>)[name];
  return (Array.isArray(value) ? value : [value]).filter((text) => typeof text === 'string');
}
