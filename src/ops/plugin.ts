// The operators' page as a plugin below /ops: its own parser, errors and headers; the sign-in first, the pages behind it.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../config.ts';
import { ConnectionLostError } from '../database/database.ts';
import { describeError } from '../errors.ts';
import type { Logger } from '../logger.ts';
import { databaseProblem } from '../runtime/database-problem.ts';
import { type ConnectedSettings, recoverScheduleOf } from '../runtime/settings.ts';
import type { Phase } from '../runtime/shutdown.ts';
import { createAccess } from './access.ts';
import { addActionPages } from './actions-page.ts';
import { addAlertActions } from './alerts.ts';
import { serveAssets } from './assets.ts';
import { createAttemptLimit } from './attempt-limit.ts';
import { addDeadLettersPage } from './dead-letters-page.ts';
import { OpsError } from './errors.ts';
import { addEventActions } from './event-forms.ts';
import { addEventPage } from './event-page.ts';
import { addEventsPage } from './events-page.ts';
import { acceptsHtml, addGate, type GateDeps, userOf } from './gate.ts';
import { html } from './html.ts';
import { openOpsInbox, SlowError } from './inbox.ts';
import { addOverviewPage } from './overview-page.ts';
import { createSendPage, type SendPage } from './page.ts';
import type { Deliver, PageDeps } from './page-deps.ts';
import { addPauseActions } from './pauses.ts';
import { addQuarantineActions } from './quarantine.ts';
import { addRehearsalActions } from './rehearsal.ts';
import { addRejectionsPage } from './rejections-page.ts';
import { addReplayPage } from './replay-page.ts';
import { addRequestPage } from './request-page.ts';
import { addRequestsPage } from './requests-page.ts';
import { addResend } from './resend.ts';
import { addSignIn } from './sign-in-page.ts';
import { opsUrl } from './urls.ts';

export interface OpsOptions {
  settings: ConnectedSettings & {
    config: Pick<Config, 'OPS_PASSWORD' | 'OPS_READONLY_PASSWORD' | 'LIVE_REQUESTS'>;
  };
  log: Logger;
  /** Default: none, as in `postbell ops`. */
  deliver?: Deliver;
  now?: () => Date;
}

/**
 * Adds the page to a server that does not listen yet. Its connections are opened with the first page.
 * @returns the step of the server's end that closes them; none without OPS_PASSWORD, since then there is no page
 */
export function registerOps(
  app: FastifyInstance,
  { settings, log, deliver, now = () => new Date() }: OpsOptions,
): Phase[] {
  const { OPS_PASSWORD: operator, OPS_READONLY_PASSWORD: reader } = settings.config;
  if (operator === undefined) return [];
  const inbox = openOpsInbox(settings, log);
  const gate: GateDeps = {
    access: createAccess({ operator, reader }),
    limit: createAttemptLimit(),
    now,
    log,
  };
  const { sources, waiting } = settings;
  const { STORE_RAW_BODY: storesRawBody, LIVE_REQUESTS: showsAll } = settings.config;
  const schedule = recoverScheduleOf(settings);
  const deps: PageDeps = { inbox, log, sources, waiting, storesRawBody, schedule, now, deliver, showsAll };
  app.register((scope) => addPages(scope, gate, deps, log), { prefix: '/ops' });
  return [{ name: 'ops', run: () => inbox.close() }];
}

/** Forms are short: a reason, a filter. */
const bodyLimit = 32_768;

async function addPages(app: FastifyInstance, gate: GateDeps, deps: PageDeps, log: Logger): Promise<void> {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit },
    (_request, body, done) => done(null, new URLSearchParams(body as string)),
  );
  addSecurityHeaders(app);
  const sendPage = createSendPage(serveAssets(app));
  app.setErrorHandler((error, request, reply) => sendProblem(error, request, reply, sendPage, log));
  app.setNotFoundHandler((request, reply) =>
    sendProblem(new OpsError(404, 'There is no such page.'), request, reply, sendPage, log),
  );
  addSignIn(app, gate, sendPage);
  app.register(async (pages) => {
    addGate(pages, gate);
    for (const addPage of [addOverviewPage, addEventsPage, addEventPage, addDeadLettersPage])
      addPage(pages, deps, sendPage);
    for (const addPage of [addReplayPage, addActionPages, addRejectionsPage, addRequestsPage, addRequestPage])
      addPage(pages, deps, sendPage);
    addResend(pages, deps);
    addEventActions(pages, deps);
    addAlertActions(pages, deps);
    addQuarantineActions(pages, deps);
    addPauseActions(pages, deps);
    addRehearsalActions(pages, deps);
  });
}

const securityHeaders = {
  'content-security-policy': [
    "default-src 'none'",
    ...[
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self'",
      "connect-src 'self'",
      "form-action 'self'",
    ],
    ...["base-uri 'none'", "frame-ancestors 'none'"],
  ].join('; '),
  'x-frame-options': 'DENY',
  'referrer-policy': 'same-origin',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
};

function addSecurityHeaders(app: FastifyInstance): void {
  app.addHook('onSend', async (request, reply) => {
    reply.headers(securityHeaders);
    // The server's own hook, which runs before this one, forbids every cache.
    if (reply.statusCode === 200 && request.url.startsWith('/ops/assets/'))
      reply.header('cache-control', 'public, max-age=31536000, immutable');
  });
}

function sendProblem(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
  sendPage: SendPage,
  log: Logger,
): FastifyReply {
  const { status, message, retryAfterSeconds } = describeProblem(error, request.method);
  if (status >= 500)
    log.error({ reqId: request.id, error: describeError(causeOf(error)).text }, 'the operators’ page failed');
  if (retryAfterSeconds !== undefined) reply.header('retry-after', String(retryAfterSeconds));
  if (!acceptsHtml(request)) return reply.code(status).type('text/plain; charset=utf-8').send(`${message}\n`);
  const back = userOf(request) ? opsUrl('') : opsUrl('/login');
  const main = html`<h1>${message}</h1><p class="under">Request ${request.id}</p><p><a href="${back}">Go on</a></p>`;
  return sendPage(request, reply, { title: 'Problem', main, status });
}

const causeOf = (error: unknown) =>
  error instanceof SlowError || error instanceof ConnectionLostError ? error.cause : error;

/** The message says nothing of an unknown error: the log has it, under the request's id. */
function describeProblem(
  error: unknown,
  method: string,
): {
  status: number;
  message: string;
  retryAfterSeconds?: number | undefined;
} {
  if (error instanceof OpsError)
    return { status: error.statusCode, message: error.message, retryAfterSeconds: error.retryAfterSeconds };
  if (error instanceof SlowError) {
    const isUnchanged = method === 'GET' || error.isRolledBack;
    const remedy = isUnchanged
      ? 'Nothing was changed: try again.'
      : 'The change may have been made: look before you try again.';
    return { status: 503, message: `The database took longer than 3 s. ${remedy}` };
  }
  const problem = databaseProblem(causeOf(error));
  if (problem) return { status: 503, message: `The database: ${problem.message}; ${problem.remedy}.` };
  if (error instanceof ConnectionLostError)
    return {
      status: 503,
      message: 'No connection to the database: it is away, or other pages use both connections.',
    };
  const status = (error as { statusCode?: number }).statusCode ?? 500;
  if (status >= 400 && status < 500) return { status, message: 'The request cannot be read.' };
  return { status: 500, message: 'The page failed. The log has the reason.' };
}
