// The notes of `send` on a delivery: parts that the body decides, and the receiver's treatment of the event.
import {
  answerHandshake,
  asDelivery,
  type EventDraft,
  type OutgoingRequest,
  readDrafts,
  type Source,
} from '../providers/index.ts';

/** A delivery as a receiver with the same settings reads it. */
export interface ReadDelivery {
  topic: string;
  /** null: it carries no event, or the receiver makes the id from the time of arrival. */
  eventId: string | null;
  /** Whole sentences. */
  notes: string[];
  /** Its first event; undefined for a set-up request. */
  draft: EventDraft | undefined;
}

/**
 * @param topic the argument of the command line
 * @param before the event sent before it, which was meant to be another one
 */
export function readDelivery(
  source: Source,
  request: OutgoingRequest,
  topic: string,
  before: EventDraft | undefined,
): ReadDelivery {
  const { provider } = source;
  const delivery = asDelivery(request, new Date());
  const notes = provider.scheme.isCredential
    ? [`nothing is signed, as ${provider.title} signs nothing; the proof: ${provider.scheme.summary}`]
    : [];
  if (answerHandshake(source, delivery, 'unsigned') ?? answerHandshake(source, delivery, 'verified', 0))
    return {
      topic,
      eventId: null,
      notes: [...notes, 'this is a set-up request of the provider: it carries no event'],
      draft: undefined,
    };
  const events = readDrafts(source, delivery);
  const draft = events[0]!;
  const later = readDrafts(source, {
    ...delivery,
    receivedAt: new Date(delivery.receivedAt.getTime() + 1_000),
  });
  const isMadeOnArrival = later[0]!.eventId !== draft.eventId;
  if (draft.topic !== topic) notes.push(`the body decides the topic: it is ${draft.topic}, not ${topic}`);
  if (events.length > 1) notes.push(`the delivery carries ${events.length} events; the first is named`);
  if (draft.payloadError)
    notes.push(`the body cannot be kept as JSON (${draft.payloadError}): the event has no payload`);
  if (isMadeOnArrival) notes.push('the receiver makes the id of the event from the time of arrival');
  else if (before?.eventId === draft.eventId)
    notes.push(`the body decides the event id: each delivery carries the event ${draft.eventId}`);
  else if (before && draft.uniqueBody && before.bodySha256.equals(draft.bodySha256))
    notes.push(
      'what is signed is the same under another id: Postbell runs the first event, and stores the others as IGNORED (suspected replay)',
    );
  return { topic: draft.topic, eventId: isMadeOnArrival ? null : draft.eventId, notes, draft };
}
