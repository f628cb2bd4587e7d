// Answers the requests by which providers test an endpoint. Such a request never becomes an event.
import { valueAt } from './body/body.ts';
import { sameText } from './equal.ts';
import type { Delivery, Handshake, HandshakeAnswer, Source } from './provider.ts';

export const maxChallengeChars = 1024;

const noSniff = { 'x-content-type-options': 'nosniff' };

/**
 * The answer to a set-up request; undefined for any other delivery. Never throws.
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

/** The methods besides POST that the source answers: for its handshakes, and for deliveries by GET. */
export function handshakeMethods(source: Source): ('GET' | 'HEAD' | 'OPTIONS')[] {
  const methods = new Set<'GET' | 'HEAD' | 'OPTIONS'>(source.provider.sendsByGet ? ['GET'] : []);
  for (const { method } of source.provider.handshakes ?? []) if (method !== 'POST') methods.add(method);
  return [...methods];
}

export function emptyAnswer(status = 200): HandshakeAnswer {
  return { status, contentType: 'text/plain; charset=utf-8', body: '' };
}

/**
 * Repeats a challenge as plain text that no browser renders as a page. Undefined for a challenge that is absent,
 * over 1 KB, or holds other characters than `isChallenge` allows.
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

/** Parses a small JSON body that holds the marker. Undefined for all other bodies, which are not parsed. */
export function smallJsonBody(delivery: Delivery, marker: string): unknown {
  if (delivery.body.length > 8192 || !delivery.body.includes(marker)) return undefined;
  try {
    return JSON.parse(delivery.body.toString('utf8'));
  } catch {
    // A malformed body is no handshake. As an event, the body will be stored with that reason.
    return undefined;
  }
}

/** A parameter of the query string; undefined unless sent exactly once. */
export function queryParam(delivery: Delivery, name: string): string | undefined {
  const start = delivery.url.indexOf('?');
  if (start < 0) return undefined;
  const values = new URLSearchParams(delivery.url.slice(start + 1)).getAll(name);
  return values.length === 1 ? values[0] : undefined;
}

/** The provider tests the URL with a GET or HEAD without parameters and expects 200. */
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
 * A GET like Meta's: `hub.mode=subscribe&hub.verify_token=…&hub.challenge=…`. Answers with the challenge if the token
 * equals the source's verify token; with 403 if the token differs or none is configured.
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
