// An event as commands for a shell: to rehearse it, and to send it to a machine of one's own.
import type { EventDetail } from '../events/queries.ts';
import { shellQuoted } from '../printable.ts';
import type { EventKey } from '../queue/queue.ts';

/** A longer body is no text to copy. */
const maxBodyLength = 20_000;

export interface ShellCommands {
  /** Signed anew with the secret of the machine on which it runs. */
  send: string;
  /** Unsigned: for an app that does not verify. */
  curl: string;
}

/** @returns undefined where the body is too long to copy, or no text */
export function shellCommands(event: EventDetail): ShellCommands | undefined {
  const { source, topic, eventId, headers } = event;
  const body = event.payloadText ?? undefined;
  if (body === undefined || body.length > maxBodyLength) return undefined;
  const kept = { 'content-type': 'application/json', ...headers };
  const options = Object.entries(kept).map(([name, value]) => `--header ${quoted(`${name}: ${value}`)}`);
  const url = `http://127.0.0.1:3000/api/webhooks/${encodeURIComponent(source)}`;
  return {
    send: `printf %s ${quoted(body)} | postbell send ${quoted(source)} ${quoted(topic)} --id ${quoted(eventId)} --data -`,
    curl: ['curl', ...options, `--data-raw ${quoted(body)}`, quoted(url)].join(' \\\n  '),
  };
}

export const rehearseCommand = ({ source, eventId }: EventKey): string =>
  `postbell rehearse ${quoted(eventId)} --source ${quoted(source)}`;

/** One word of a POSIX shell, in quotes only where it needs them. */
function quoted(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) && !text.startsWith('-') ? text : shellQuoted(text);
}
