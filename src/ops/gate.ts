// Stands before every page: who asks, from which site, and may they change anything?
import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { addressOf } from '../client-address.ts';
import type { Logger } from '../logger.ts';
import { type Access, type OpsUser, type Role, readBasic } from './access.ts';
import type { AttemptLimit } from './attempt-limit.ts';
import { OpsError } from './errors.ts';
import { opsUrl } from './urls.ts';

export interface GateDeps {
  access: Access;
  limit: AttemptLimit;
  now: () => Date;
  log: Logger;
}

/** The request's own place for its user. */
const kept = Symbol('user of the operators page');
type Asked = FastifyRequest & { [kept]?: OpsUser | undefined };

/** Undefined before the sign-in. */
export function userOf(request: FastifyRequest): OpsUser | undefined {
  return (request as Asked)[kept];
}

/** The user of a page behind the gate. */
export function signedInUser(request: FastifyRequest): OpsUser {
  const user = userOf(request);
  if (!user) throw new Error('the page is not behind the gate');
  return user;
}

/** The pages of `app` need a sign-in, and its changes an operator who asks from our own site. */
export function addGate(app: FastifyInstance, deps: GateDeps): void {
  app.addHook('onRequest', async (request, reply) => {
    const user = identify(request.raw, deps);
    if (!user) return askToSignIn(request, reply);
    (request as Asked)[kept] = user;
    if (request.method === 'GET') return undefined;
    checkOrigin(request.raw);
    if (user.role !== 'operator')
      throw new OpsError(403, 'You may read only: sign in with OPS_PASSWORD to change anything.');
    return undefined;
  });
}

/** @throws OpsError (429) */
function identify(request: IncomingMessage, deps: GateDeps): OpsUser | undefined {
  const session = deps.access.readSession(request, deps.now());
  if (session?.isCurrent) return session.user;
  const basic = readBasic(request);
  if (!basic) return undefined;
  const role = checkAttempt(request, basic.password, deps);
  return role && { role, name: basic.name };
}

/**
 * Wrong passwords count per browser if an operator has signed in with it before, or else per address: strangers cannot keep an
 * operator out, and a current session is never asked for a password. A reader makes as many browsers as he likes.
 * @throws OpsError (429)
 */
export function checkAttempt(
  request: IncomingMessage,
  password: string,
  { access, limit, now, log }: GateDeps,
): Role | undefined {
  const session = access.readSession(request, now());
  const key =
    session?.user.role === 'operator' ? `browser ${session.browser}` : `address ${addressOf(request)}`;
  const time = now().getTime();
  const seconds = limit.secondsToWait(key, time);
  if (seconds > 0)
    throw new OpsError(
      429,
      `Too many wrong passwords from your address: try again in ${seconds} s.`,
      seconds,
    );
  const role = access.checkPassword(password);
  if (!role) {
    limit.recordWrong(key, time);
    log.warn({ address: addressOf(request) }, 'a wrong password for the operators’ page');
  }
  return role;
}

function askToSignIn(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  // A page that renews itself: its next step is the form.
  if (request.headers['hx-request']) return reply.code(401).header('hx-refresh', 'true').send();
  if (request.method === 'GET' && acceptsHtml(request) && !request.headers.authorization)
    return reply.redirect(opsUrl('/login', { next: request.url }), 303);
  reply.header('www-authenticate', 'Basic realm="Postbell", charset="UTF-8"');
  throw new OpsError(401, 'Sign in with ops:<OPS_PASSWORD>.');
}

export function acceptsHtml({ headers }: Pick<FastifyRequest, 'headers'>): boolean {
  return /text\/html/.test(headers.accept ?? '');
}

/**
 * A change must come from our own page, or from a program (which sends neither header, and a password).
 * @throws OpsError (403)
 */
export function checkOrigin({ headers }: IncomingMessage): void {
  const site = headers['sec-fetch-site'];
  const { origin } = headers;
  const isOurs =
    site !== undefined
      ? site === 'same-origin'
      : origin !== undefined
        ? URL.canParse(origin) && new URL(origin).host === headers.host
        : headers.authorization !== undefined;
  if (!isOurs) throw new OpsError(403, 'The change came from another site: nothing was done.');
}
