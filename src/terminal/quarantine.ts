// The quarantine in words, for `quarantine`, `status` and `doctor`.
import type { QuarantineState } from '../events/quarantine.ts';
import type { Source } from '../providers/index.ts';
import { countText } from './print.ts';

const megabyte = 1_048_576;

/** `0.4 of 10 MB`. @param source undefined: not configured here */
export function bytesText(
  { bytes }: QuarantineState,
  source: Pick<Source, 'quarantineMb'> | undefined,
): string {
  const used = bytes > 0 && bytes < 0.05 * megabyte ? '< 0.1' : (bytes / megabyte).toFixed(1);
  return source?.quarantineMb === undefined ? `${used} MB` : `${used} of ${source.quarantineMb} MB`;
}

export function reasonsText({ reasons }: QuarantineState): string {
  return reasons.map(({ reason, requests }) => `${reason} (${requests.toLocaleString('en-US')})`).join(', ');
}

const limits = {
  full: 'its MB are used up',
  address: 'one address may take a tenth',
  rate: 'too many came at once',
} as const;

export function refusedText({ source, refused, refusedReason }: QuarantineState): string {
  const why = refusedReason === null ? '' : `: ${limits[refusedReason]}`;
  return `${source}: ${countText(refused, 'request')} found no room and ${refused === 1 ? 'was' : 'were'} not kept${why}`;
}
