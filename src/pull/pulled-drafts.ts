// Makes drafts of pulled items by the provider's own templates: one definition of id and topic for both doors.
import { type EventDraft, type MadeEvents, madePrefix, readDrafts, type Source } from '../providers/index.ts';
import { RecoverError } from './recover-error.ts';

interface DraftOptions {
  /** Of the list; the body is that of its webhook. */
  item: object;
  made: MadeEvents | undefined;
  now: Date;
  keepsBytes: boolean;
}

/** The events of one item, as its webhook would have brought them. @throws RecoverError where one has no id */
export function draftsOf(
  source: Source,
  body: unknown,
  { item, made, now, keepsBytes }: DraftOptions,
): EventDraft[] {
  const noId = () =>
    new RecoverError(
      'unexpected_answer',
      'an item of the list has no id where the provider has it; nothing of the page was taken',
    );
  const own = made ? made.headers(item) : {};
  if (!own) throw noId();
  const headers = Object.entries({ 'content-type': 'application/json', ...own });
  const delivery = {
    method: 'POST',
    url: '',
    headers: Object.fromEntries(headers.map(([name, value]) => [name, [value]])),
    body: Buffer.from(JSON.stringify(body) ?? 'null'),
    receivedAt: now,
  };
  const drafts = readDrafts(source, delivery, keepsBytes);
  // A hash in place of the id would make a second event of the webhook's.
  if (drafts.some(({ eventId }) => eventId.startsWith('sha256:'))) throw noId();
  // No signature vouches for a pulled event, but the provider's API: nobody else can repeat its body under another id.
  return drafts.map((draft) => ({
    ...draft,
    eventId: made ? madePrefix + draft.eventId : draft.eventId,
    uniqueBody: false,
  }));
}
