// Events that are made of things: leaves out those whose state, or a newer one, a stored event carries.
import type { Database } from '../database/database.ts';
import { findStates } from '../events/known-events.ts';
import { type EventDraft, type MadeEvents, textAt } from '../providers/index.ts';

/** The clocks of the provider and of the database may differ. */
const clockMs = 5 * 60_000;

/** A draft, and what it was made of. */
export interface MadeDraft {
  draft: EventDraft;
  item: object;
  body: unknown;
}

/** @returns the ids of the drafts whose state a stored event of the source carries */
export async function findKnownStates(
  database: Database,
  source: string,
  { idAt, timeAt, topicStart }: MadeEvents,
  drafts: readonly MadeDraft[],
): Promise<string[]> {
  const states = drafts.map(({ draft, item, body }) => ({
    eventId: draft.eventId,
    start: topicStart(item),
    id: textAt(body, idAt) ?? '',
    atMs: Date.parse(textAt(body, timeAt) ?? ''),
  }));
  if (states.length === 0) return [];
  // The webhook of a state arrives after the state began.
  const since = new Date(Math.min(...states.map(({ atMs }) => atMs)) - clockMs);
  const ids = states.map(({ id }) => id);
  const topicStarts = [...new Set(states.map(({ start }) => start))];
  const stored = Map.groupBy(
    await findStates(database, source, { ids, topicStarts, since, idAt, timeAt }),
    ({ id }) => id,
  );
  const isStored = ({ id, start, atMs }: (typeof states)[number]) =>
    stored.get(id)?.some(({ topic, at }) => topic.startsWith(start) && Date.parse(at ?? '') >= atMs);
  return states.filter(isStored).map(({ eventId }) => eventId);
}
