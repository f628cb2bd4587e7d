// The form that asks for the password, and the sign-out.
import type { FastifyInstance } from 'fastify';
import { isFromThisMachine } from '../client-address.ts';
import { defaultName, readName } from './access.ts';
import { OpsError } from './errors.ts';
import { checkAttempt, checkOrigin, type GateDeps } from './gate.ts';
import { type Html, html } from './html.ts';
import type { Page, SendPage } from './page.ts';
import { formOf, opsUrl, ownUrl } from './urls.ts';

export function addSignIn(app: FastifyInstance, deps: GateDeps, sendPage: SendPage): void {
  app.get('/login', async (request, reply) => {
    const { next = '' } = request.query as { next?: string };
    return sendPage(request, reply, signInPage(ownUrl(String(next)), undefined));
  });

  app.post('/login', async (request, reply) => {
    checkOrigin(request.raw);
    const form = formOf(request);
    const next = ownUrl(form.get('next'));
    const isSecure = !isFromThisMachine(request.raw);
    // The browser would not keep our cookie, and everybody on the way could read the password.
    if (isSecure && request.headers.origin?.startsWith('http:'))
      throw new OpsError(400, 'Open this page by https: over plain http the sign-in cannot be kept secret.');
    const role = checkAttempt(request.raw, form.get('password') ?? '', deps);
    if (!role) return sendPage(request, reply, signInPage(next, 'The password is wrong.'));
    const user = { role, name: readName(form.get('name') ?? '') };
    const browser = deps.access.readSession(request.raw, deps.now())?.browser;
    reply.header('set-cookie', deps.access.signIn(user, browser, deps.now(), isSecure));
    return reply.redirect(next, 303);
  });

  app.post('/logout', async (request, reply) => {
    checkOrigin(request.raw);
    const session = deps.access.readSession(request.raw, deps.now());
    if (session) reply.header('set-cookie', deps.access.signOut(session, !isFromThisMachine(request.raw)));
    return reply.redirect(opsUrl('/login'), 303);
  });
}

function signInPage(next: string, problem: string | undefined): Page {
  return { title: 'Sign in', status: problem ? 401 : 200, main: form(next, problem) };
}

const form = (next: string, problem: string | undefined): Html => html`<div class="sign-in">
<h1>Postbell</h1>
<p class="hint">The operators’ page.</p>
${problem && html`<p class="banner bad" role="alert">${problem}</p>`}
<form method="post" action="${opsUrl('/login')}" class="stack">
<input type="hidden" name="next" value="${next}">
<label>Your name <span class="hint">for the record of changes</span>
<input name="name" autocomplete="username" maxlength="60" placeholder="${defaultName}"></label>
<label>Password
<input name="password" type="password" autocomplete="current-password" required autofocus></label>
<button class="primary">Sign in</button>
</form>
</div>`;
