// Takes a request through the core where no Fastify does: early answer, body, commit, errors.
import type { Readable } from 'node:stream';
import { declaredBytesOf } from './node-request.ts';
import type { Answer, WebhookCore, WebhookRequest } from './webhook-core.ts';

/** Answers one request. Never rejects. @param openBody called only if the body must be read */
export type AnswerRequest = (request: WebhookRequest, openBody: () => Readable) => Promise<Answer>;

export function createAnswerRequest(core: WebhookCore): AnswerRequest {
  return async (request, openBody) => {
    try {
      return (
        core.answerEarly(request) ?? (await core.receive(request, await readBody(core, request, openBody())))
      );
    } catch (error) {
      return core.answerError(request, error);
    }
  };
}

function readBody(core: WebhookCore, request: WebhookRequest, payload: Readable): Promise<Buffer> {
  const sizes = { declaredBytes: declaredBytesOf(request), limitBytes: core.bodyLimitOf(request) };
  return new Promise((resolve, reject) =>
    core.readBody(payload, sizes, (error, body) => (body ? resolve(body) : reject(error))),
  );
}
