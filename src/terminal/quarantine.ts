// The quarantine in words, for `quarantine`, `status` and `doctor`.
import type { QuarantineState } from '../events/quarantine.ts';
import { countText } from './print.ts';

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
