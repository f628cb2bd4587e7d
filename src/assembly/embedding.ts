// Postbell inside a team's own process: no signal or exception handlers, no watchdog, no exit. The host decides about its end.
import { setTimeout as delay } from 'node:timers/promises';
import { processEnvironment } from '../config.ts';
import { describeError } from '../errors.ts';
import { type AnswerRequest, createAnswerRequest } from '../http/answer-request.ts';
import type { WebhookCore } from '../http/webhook-core.ts';
import { createEmbeddedLogger, type Logger } from '../logger.ts';
import { pause } from '../runtime/pause.ts';
import { type ConnectedSettings, loadConnectedSettings } from '../runtime/settings.ts';
import { type Phase, runPhases } from '../runtime/shutdown.ts';
import type { Embedded, EmbeddingOptions, InboxEmbeddingOptions } from './embedding-types.ts';
import { createInbox } from './inbox.ts';

export interface EmbeddedInbox extends Embedded {
  core: WebhookCore;
  answerRequest: AnswerRequest;
  /** The text for Prometheus, without metrics of the process. */
  metrics(): Promise<string>;
}

const retryMs = 5_000;
/** As long as `web` waits for its requests. */
const drainMs = 8_000;

/** Opens the receiving side; it answers 503 until the database was reached. @throws ConfigError */
export function openEmbeddedInbox(options: InboxEmbeddingOptions): EmbeddedInbox {
  const { settings, log } = embeddedSettings(options, 'web', options.path);
  const inbox = createInbox({ settings, log, measuresProcess: false });
  const answering = new Set<Promise<unknown>>();
  const answer = createAnswerRequest(inbox.core);
  const embedded = keepOpen(inbox, log, [
    {
      name: 'requests',
      run: () => Promise.race([Promise.all(answering), delay(drainMs, undefined, { ref: false })]),
    },
    { name: 'follow-ups', run: () => inbox.core.drained() },
  ]);
  return {
    ...embedded,
    core: inbox.core,
    answerRequest: (request, openBody) => {
      const answered = answer(request, openBody);
      answering.add(answered);
      void answered.finally(() => answering.delete(answered));
      return answered;
    },
    metrics: async () => (await inbox.metrics.render()).text,
  };
}

/** @throws ConfigError */
export function embeddedSettings(
  { env = processEnvironment, log }: EmbeddingOptions,
  name: string,
  path?: string,
): { settings: ConnectedSettings; log: Logger } {
  // The host listens, perhaps on a port that is no number.
  const settings = loadConnectedSettings({ ...env, PORT: undefined, HOST: undefined }, path);
  return { settings, log: log ?? createEmbeddedLogger(settings.config.LOG_LEVEL, name) };
}

interface Openable {
  open(): Promise<void>;
  beginClosing(): readonly Phase[];
}

/**
 * Opens it until that succeeds. A process of ours ends where only a migration helps, and is started again by its platform;
 * here the next try takes the place of that.
 * @param closingFirst runs before the steps of `beginClosing`
 */
export function keepOpen(part: Openable, log: Logger, closingFirst: readonly Phase[] = []): Embedded {
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => {}); // the host may not wait for it
  const closing = new AbortController();
  let closed: Promise<void> | undefined;

  async function open(): Promise<void> {
    while (!closing.signal.aborted) {
      try {
        await part.open();
        if (closing.signal.aborted) break;
        log.info('ready');
        return ready.resolve();
      } catch (error) {
        if (closing.signal.aborted) break;
        log.error({ error: describeError(error).text }, 'not ready; trying again');
        ready.reject(error);
        await pause(retryMs, closing.signal);
      }
    }
    ready.reject(new Error('closed before it was ready'));
  }
  const opening = open();

  async function close(): Promise<void> {
    closing.abort();
    await runPhases(closingFirst, log);
    const phases = part.beginClosing();
    await opening;
    await runPhases(phases, log);
    log.info('stopped');
  }
  return {
    ready: ready.promise,
    close: () => {
      closed ??= close();
      return closed;
    },
  };
}
