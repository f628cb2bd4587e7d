// Makes drafts of pulled items by the provider's own templates: one definition of id and topic for both doors.
import { type EventDraft, type Pull, readEvents, type Source } from '../providers/index.ts';
import { RecoverError } from './recover-error.ts';

/** The events of one item, as its webhook would have brought them. @throws RecoverError where one has no id */
export function draftsOf(
  source: Source,
  { body = (item) => item }: Pick<Pull, 'body'>,
  item: object,
  { now, keepsBytes, wanted }: { now: Date; keepsBytes: boolean; wanted: string },
): EventDraft[] {
  const delivery = {
    method: 'POST',
    url: '',
    headers: { 'content-type': ['application/json'] },
    body: Buffer.from(JSON.stringify(body(item, wanted)) ?? 'null'),
    receivedAt: now,
  };
  const drafts = readEvents(source, delivery, keepsBytes);
  // A hash in place of the id would make a second event of the webhook's.
  if (drafts.some(({ eventId }) => eventId.startsWith('sha256:')))
    throw new RecoverError(
      'an item of the list has no id where the provider has it; nothing of the page was taken',
    );
  // No signature vouches for a pulled event, but the provider's API: nobody else can repeat its body under another id.
  return drafts.map((draft) => ({ ...draft, uniqueBody: false }));
}
