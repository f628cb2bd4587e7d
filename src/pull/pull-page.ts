// Takes the events of a page that was pulled: those that are not in the inbox yet go through `accept`, as a webhook's do.
import { findKnownIds } from '../events/known-events.ts';
import type { EventDraft } from '../providers/index.ts';
import { acceptDrafts } from '../receive/accept.ts';
import { draftsOf } from './pulled-drafts.ts';
import type { PageTaker, RunOptions } from './run.ts';
import { findKnownStates, type MadeDraft } from './states.ts';

export function createPull({ recover, database, receiver, keepsBytes, isDryRun }: RunOptions): PageTaker {
  const { source, spec, wanted } = recover;
  const pull = spec.pull!;

  /** Each by itself, so that one that cannot be stored fails alone; the receiver commits them together. */
  const accept = (draft: EventDraft) =>
    acceptDrafts(receiver, {
      source: source.name,
      provider: source.provider.name,
      drafts: [draft],
      headers: {},
      body: draft.rawBody ?? Buffer.from(draft.payloadText ?? ''),
      receivedBy: 'pull',
    });

  async function findMissing(drafts: readonly MadeDraft[]): Promise<EventDraft[]> {
    const known = pull.made ? await findKnownStates(database, source.name, pull.made, drafts) : [];
    return drafts.map(({ draft }) => draft).filter(({ eventId }) => !known.includes(eventId));
  }

  return {
    take: async (items) => {
      const now = new Date();
      // Pages that shift while they are read hold an item twice.
      const drafts = new Map<string, MadeDraft>();
      for (const item of items) {
        const body = pull.body ? pull.body(item, wanted) : item;
        for (const draft of draftsOf(source, body, { now, keepsBytes, made: pull.made, item }))
          drafts.set(draft.eventId, { draft, item, body });
      }
      const known = await findKnownIds(database, source.name, [...drafts.keys()]);
      const missing = await findMissing(
        [...drafts.values()].filter(({ draft }) => !known.has(draft.eventId)),
      );
      if (isDryRun) return { recovered: missing.length, known: drafts.size - missing.length, asked: 0 };
      const results = await Promise.allSettled(missing.map(accept));
      let recovered = 0;
      for (const result of results) {
        if (result.status === 'rejected') throw result.reason;
        if (!result.value.duplicate) recovered++;
      }
      return { recovered, known: drafts.size - recovered, asked: 0 };
    },
    finish: async () => ({ recovered: 0, asked: 0, missing: 0, refusedStatus: null }),
  };
}
