// Reads the header Retry-After: seconds, or a date.

const maxSeconds = 30 * 86_400;

/** @returns 1 s to 30 days, the limits of `Later`; undefined where the header is missing or has no such value */
export function retryAfterSeconds(header: string | undefined, now: Date): number | undefined {
  const text = header?.trim() ?? '';
  // Shopify writes 2.0.
  const isNumber = /^\d{1,10}(?:\.\d{1,9})?$/.test(text);
  // Date.parse reads many other texts as dates: only those of HTTP have GMT.
  const isDate = /^[A-Z][a-z]+, .* GMT$/.test(text);
  if (!isNumber && !isDate) return undefined;
  const seconds = isNumber ? Math.ceil(Number(text)) : Math.ceil((Date.parse(text) - now.getTime()) / 1_000);
  return Number.isNaN(seconds) ? undefined : Math.min(maxSeconds, Math.max(1, seconds));
}
