// Answers the requests by which providers try out an endpoint: exactly, briefly, and never as an event.
import { valueAt } from './body/body.ts';
import { sameText } from './equal.ts';
import type { Delivery, Handshake, HandshakeAnswer, Source } from './provider.ts';

export const maxChallengeChars = 1024;

const noSniff = { 'x-content-type-options': 'nosniff' };

/**
 * The answer to a set-up request, or undefined where the delivery is none. Never throws.
 * @param secretIndex from the verdict, in the phase `verified`
 */
export function answerHandshake(
  source: Source,
  delivery: Delivery,
  phase: Handshake['phase'],
  secretIndex = 0,
): HandshakeAnswer | undefined {
  for (const handshake of source.provider.handshakes ?? []) {
    if (handshake.phase !== phase || handshake.method !== delivery.method) continue;
    const answer = handshake.answer(delivery, source, secretIndex);
    if (answer) return answer;
  }
  return undefined;
}

/** Which methods besides POST the source answers: those of its handshakes, and of deliveries by GET. */
export function handshakeMethods(source: Source): ('GET' | 'HEAD' | 'OPTIONS')[] {
  const methods = new Set<'GET' | 'HEAD' | 'OPTIONS'>(source.provider.sendsByGet ? ['GET'] : []);
  for (const { method } of source.provider.handshakes ?? []) if (method !== 'POST') methods.add(method);
  return [...methods];
}

export function emptyAnswer(status = 200): HandshakeAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body: '' };
}

/**
 * Repeats a challenge as plain text that no browser takes for a page. Undefined where it is not one: absent,
 * over 1 KB, or with characters that no challenge has.
 */
export function textAnswer(challenge: unknown): HandshakeAnswer | undefined {
  if (!isChallenge(challenge)) return undefined;
  return { status: 200, contentType: 'text/plain; charset=utf-8', body: challenge, headers: noSniff };
}

export function xmlAnswer(body: string): HandshakeAnswer {
  return { status: 200, contentType: 'text/xml; charset=utf-8', body, headers: noSniff };
}

export function jsonAnswer(value: object): HandshakeAnswer {
  return {
    status: 200,
    contentType: 'application/json; charset=utf-8',
    body: JSON.stringify(value),
    headers: noSniff,
  };
}

/** Printable ASCII without blanks and angle brackets, 1 to 1,024 characters. */
export function isChallenge(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value.length <= maxChallengeChars &&
    /^[\x21-\x3b\x3d\x3f-\x7e]+$/.test(value)
  );
}

/** The body as a JSON object, if it is a small one that holds the marker; spares the parse for all others. */
export function smallJsonBody(delivery: Delivery, marker: string): unknown {
  if (delivery.body.length > 8192 || !delivery.body.includes(marker)) return undefined;
  try {
    return JSON.parse(delivery.body.toString('utf8'));
  } catch {
    // Malformed, so it is no handshake; as an event it will be stored with that reason.
    return undefined;
  }
}

/** A parameter of the query string, if it was sent exactly once. */
export function queryParam(delivery: Delivery, name: string): string | undefined {
  const start = delivery.url.indexOf('?');
  if (start < 0) return undefined;
  const values = new URLSearchParams(delivery.url.slice(start + 1)).getAll(name);
  return values.length === 1 ? values[0] : undefined;
}

/** The provider tries the URL with a bare GET or HEAD and wants 200. */
export function bareRequest(method: 'GET' | 'HEAD'): Handshake {
  return { method, phase: 'unsigned', answer: () => emptyAnswer() };
}

/** A signed POST like Slack's `{"type":"url_verification","challenge":"…"}`, answered with the challenge. */
export function signedChallenge(marker: { path: string; is: string }, challengePath: string): Handshake {
  return {
    method: 'POST',
    phase: 'verified',
    answer(delivery) {
      const body = smallJsonBody(delivery, `"${marker.is}"`);
      if (valueAt(body, marker.path.split('.')) !== marker.is) return undefined;
      return textAnswer(valueAt(body, challengePath.split('.')));
    },
  };
}

/**
 * A GET like Meta's: `hub.mode=subscribe&hub.verify_token=…&hub.challenge=…`. Answers the challenge if the token
 * is the source's, 403 if it is another or none is configured.
 */
export function verifyTokenChallenge(
  modeName: string,
  mode: string,
  tokenName: string,
  challengeName: string,
): Handshake {
  return {
    method: 'GET',
    phase: 'unsigned',
    answer(delivery, source) {
      if (queryParam(delivery, modeName) !== mode) return undefined;
      const token = queryParam(delivery, tokenName);
      if (!source.verifyToken || token === undefined || !sameText(source.verifyToken, token))
        return emptyAnswer(403);
      return textAnswer(queryParam(delivery, challengeName)) ?? emptyAnswer(400);
    },
  };
}
