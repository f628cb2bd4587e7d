// Edit and send again: signs a body with the source's own secret and hands it to our own receiver. The request makes a real event.
import { isUtf8 } from 'node:buffer';
import type { FastifyInstance } from 'fastify';
import { describeError } from '../errors.ts';
import type { CapturedRequest } from '../events/captures.ts';
import { beginResend, endResend } from '../events/operator-actions.ts';
import {
  answerHandshake,
  asDelivery,
  type OutgoingRequest,
  readDrafts,
  type Source,
  signDelivery,
  unavailableStatusOf,
} from '../providers/index.ts';
import { OpsError } from './errors.ts';
import { signedInUser } from './gate.ts';
import { type Html, html } from './html.ts';
import type { PageDeps } from './page-deps.ts';
import { formOf, opsUrl, textsOf } from './urls.ts';

/** A form's encoding may triple a body. */
const maxBodyBytes = 65_536;
const maxFormBytes = 4 * maxBodyBytes;
// What the page would show by a number, or a browser would change.
// biome-ignore lint/suspicious/noControlCharactersInRegex: finding them is the point
const notEditable = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

export function addResend(app: FastifyInstance, deps: PageDeps): void {
  app.post('/resend', { bodyLimit: maxFormBytes }, async (request, reply) => {
    const form = formOf(request);
    const source = deps.sources.get(textsOf(request, 'source')[0] ?? '');
    if (!deps.deliver || !source) throw new OpsError(404, 'This server cannot send to this source.');
    if (form.get('sure') !== 'yes')
      throw new OpsError(400, 'Confirm that it makes a real event: nothing was sent.');
    // A browser sends every line break of a text area as two characters.
    const body = (form.get('body') ?? '').replaceAll('\r\n', '\n');
    const topic = form.get('topic')?.trim() || 'unknown';
    const signed = sign(source, topic, body);
    const delivery = asDelivery(signed, new Date());
    if (answerHandshake(source, delivery, 'unsigned') ?? answerHandshake(source, delivery, 'verified', 0))
      throw new OpsError(
        400,
        'This is a set-up request of the provider, which makes no event: nothing was sent.',
      );
    const key = { source: source.name, eventId: readDrafts(source, delivery)[0]!.eventId };
    const { name } = signedInUser(request);
    const action = await deps.inbox.change((tx) => beginResend(tx, name, key));
    const answer = await deps.deliver(source.name, signed);
    // Its COMMIT may have arrived although its answer was late.
    if (answer.status === unavailableStatusOf(source.provider))
      throw new OpsError(
        503,
        `The receiver answered ${answer.status}: the event ${key.eventId} may have been made. Look at the events of ${key.source} before you send it again.`,
      );
    if (answer.status < 200 || answer.status > 299)
      throw new OpsError(409, `The receiver answered ${answer.status}: no event was made.`);
    // The event is there: a failed record must not have it sent again.
    await deps.inbox
      .change((tx) => endResend(tx, action))
      .catch((error: unknown) =>
        deps.log.warn(
          { action, error: describeError(error).text },
          'a resend that was accepted could not be recorded',
        ),
      );
    const done = /"duplicate":true/.test(answer.body) ? 'resend_known' : 'resend';
    return reply.redirect(opsUrl('/event', { source: key.source, id: key.eventId, done }), 303);
  });
}

/** @throws OpsError (400) that names a missing key */
function sign(source: Source, topic: string, body: string): OutgoingRequest {
  const url = source.webhookUrl ?? `http://127.0.0.1/api/webhooks/${source.name}`;
  try {
    return signDelivery(source, { topic, body, url, now: new Date() });
  } catch (error) {
    const message =
      error instanceof SyntaxError // its message quotes the body
        ? `a body for ${source.provider.title} must be JSON: the signature needs its values`
        : (error as Error).message;
    throw new OpsError(400, `It cannot be signed here: ${message}.`);
  }
}

/** Undefined where there is nothing to send again, or nobody to send it to. */
export function resendForm(captured: CapturedRequest, { sources, deliver }: PageDeps): Html | undefined {
  const source = sources.get(captured.source);
  const { body, bodyBytes, method } = captured;
  if (!deliver || !source || body === null || body.length === 0 || method !== 'POST') return undefined;
  const text = body.toString('utf8').replaceAll('\r\n', '\n');
  if (body.length < bodyBytes || body.length > maxBodyBytes || !isUtf8(body) || notEditable.test(text))
    return html`<p class="hint">To edit and send it, save the body to a file: <code>postbell send ${source.name} &lt;topic&gt; --data &lt;file&gt;</code>. It is too long, or no plain text.</p>`;
  const topicField =
    source.provider.sending?.headers &&
    html`<label>Topic, which ${source.provider.title} sends in a header
<input name="topic" required maxlength="255" value="${topicOf(captured, source)}"></label>`;
  return html`<details class="resend"><summary class="button">Edit and send again…</summary>
<form method="post" action="${opsUrl('/resend', { source: source.name })}">
<p class="banner warn"><strong>This is no rehearsal.</strong> The body is signed with the secret of ${source.name} and goes to the receiver: it makes a real event, and its handlers run. A known id makes no new event. Hidden values are missing.</p>
<label>Body
<textarea name="body" rows="16" spellcheck="false" autocapitalize="off">
${text}</textarea></label>${topicField}
<label class="check"><input type="checkbox" name="sure" value="yes" required> It may make a real event.</label>
<button class="danger">Sign and send</button></form></details>`;
}

/** A rejected request says its topic, too; nobody has to believe it. */
function topicOf({ topic, method, url, headers, body, receivedAt }: CapturedRequest, source: Source): string {
  if (topic !== null) return topic;
  try {
    return readDrafts(source, { method, url, headers, body: body ?? Buffer.alloc(0), receivedAt })[0]!.topic;
  } catch {
    return '';
  }
}
