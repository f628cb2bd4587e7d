// Signed once, accepted as one: what is done to a right delivery on its way makes no new event of it.
import fc from 'fast-check';
import {
  answerHandshake,
  type Delivery,
  type EventDraft,
  type Provider,
  readDrafts,
  type Source,
  verifyDelivery,
} from '../../src/providers/index.ts';
import { alterations, singleAlterations } from './alterations.ts';
import { makeSigned, makeSource, readFixture } from './deliveries.ts';

/** A password or a token is all their proof: whoever has it may send any body, which nobody can tell from a right one. */
export const bearers: ReadonlySet<string> = new Set([
  'atlassian-connect',
  'auth0',
  'auth0-events',
  'brevo',
  'chargebee',
  'cloudevents',
  'cloudflare',
  'google-channels',
  'google-pubsub',
  'mailchimp',
  'microsoft-graph',
  'okta',
  'pipedrive',
  'postmark',
  'telegram',
  'ups',
]);

/** Where a field's name ends is not signed, so the type can be lost on the way; the event stays the one it was. */
const runTogether: ReadonlySet<string> = new Set(['plivo']);

export interface Known {
  source: Source;
  delivery: Delivery;
}

/** A signed delivery for each sample, and the one that somebody else computed. */
export function knownDeliveries(provider: Provider): Known[] {
  const made = Object.keys(provider.samples).map((key) =>
    makeSigned(provider, { topic: key === '*' ? 'bell.rung' : key }),
  );
  const { fixture, delivery } = readFixture(provider.name);
  const source = makeSource(provider, fixture.secret);
  const { webhookUrl } = fixture;
  return [...made, { source: webhookUrl === undefined ? source : { ...source, webhookUrl }, delivery }];
}

/** How many of the altered deliveries were accepted. Throws with the alteration that made another event. */
export async function checkAlterations(
  provider: Provider,
  options: { seed: number; numRuns: number },
): Promise<number> {
  const { body, scheme } = provider;
  const isSignedInPart = !scheme.signsBody || body?.signedText !== undefined;
  let accepted = 0;
  for (const { source, delivery } of knownDeliveries(provider)) {
    const known = readDrafts(source, delivery);
    if (!bearers.has(provider.name))
      for (const altered of singleAlterations(delivery, isSignedInPart)) {
        const problem = await problemOf(source, known, altered);
        if (problem) throw new Error(`${problem}\n${shown(altered)}`);
        if (problem === undefined) accepted++;
      }
    const { failed, counterexample, errorInstance } = await fc.check(
      fc.asyncProperty(alterations(delivery, bearers.has(provider.name)), async (altered) => {
        const problem = await problemOf(source, known, altered);
        if (problem === undefined) accepted++;
        return typeof problem !== 'string';
      }),
      options,
    );
    const altered = counterexample?.[0];
    const problem = failed && altered ? await problemOf(source, known, altered) : undefined;
    if (altered && problem) throw new Error(`${problem}\n${shown(altered)}\ninstead of\n${shown(delivery)}`);
    if (failed) throw errorInstance;
  }
  return accepted;
}

/** Null where it is refused, or answered and no event. */
export async function problemOf(
  source: Source,
  known: readonly EventDraft[],
  altered: Delivery,
): Promise<string | null | undefined> {
  if (answerHandshake(source, altered, 'unsigned')) return null;
  const verdict = await verifyDelivery(source, altered);
  if (!verdict.ok) {
    if (verdict.detail?.startsWith('the verifier failed')) return verdict.detail;
    return null;
  }
  if (answerHandshake(source, altered, 'verified', verdict.secretIndex)) return null;
  for (const event of readDrafts(source, altered))
    if (!known.some((one) => isSame(one, event, runTogether.has(source.provider.name))))
      return `accepted as another event: ${event.eventId} ${event.topic}, not ${known[0]?.eventId} ${known[0]?.topic}`;
  return undefined;
}

/** The receiver takes it for a duplicate, or stores it as a suspected replay. */
function isSame(known: EventDraft, event: EventDraft, mayLoseTopic: boolean): boolean {
  if (known.uniqueBody && event.uniqueBody && known.bodySha256.equals(event.bodySha256)) return true;
  if (known.eventId !== event.eventId || known.uniqueBody !== event.uniqueBody) return false;
  return event.uniqueBody || mayLoseTopic || known.topic === event.topic;
}

function shown({ url, headers, body }: Delivery): string {
  return JSON.stringify({ url, headers, body: body.toString('latin1') }, null, 1);
}
