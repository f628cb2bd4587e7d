// The core with eyes on it: while a capture is open, its requests and their answers are handed on to be shown to operators.
import type { Captures } from '../receive/captures.ts';
import type { WebhookCore } from './webhook-core.ts';

const noBody = Buffer.alloc(0);

/** While no capture is open, a request costs one look at a flag more. */
export function withCaptures(
  core: WebhookCore,
  { wants, take }: Pick<Captures, 'wants' | 'take'>,
): WebhookCore {
  return {
    ...core,
    answerEarly: (request) => {
      const answer = core.answerEarly(request);
      if (answer && wants(request.name)) take(request, noBody, answer.status);
      return answer;
    },
    receive: (request, body) => {
      const answering = core.receive(request, body);
      if (!wants(request.name)) return answering;
      return answering.then((answer) => {
        take(request, body, answer.status);
        return answer;
      });
    },
    answerError: (request, error) => {
      const answer = core.answerError(request, error);
      if (wants(request.name)) take(request, noBody, answer.status);
      return answer;
    },
  };
}
