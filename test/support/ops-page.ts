// The operators' page, as an operator and as a reader see it.
import type { Test } from 'tap';
import { createServer } from '../../src/http/server.ts';
import { registerOps } from '../../src/ops/plugin.ts';
import { loadConnectedSettings } from '../../src/runtime/settings.ts';
import { atEnd } from './at-end.ts';
import { captureLog } from './inbox.ts';

const passwords = { operator: 'sixteen-letters-of-ops', reader: 'sixteen-letters-to-read' };
type Role = keyof typeof passwords;

export interface OpsPage {
  /** The body of a page that was found. */
  read(path: string, role?: Role): Promise<string>;
  /** Sends a form. */
  post(
    path: string,
    fields: Record<string, string>,
    role?: Role,
  ): Promise<{ statusCode: number; body: string }>;
}

export function openOpsPage(t: Test, url: string, env: Record<string, string> = {}): OpsPage {
  const { log } = captureLog();
  const settings = loadConnectedSettings({
    DATABASE_URL: url,
    OPS_PASSWORD: passwords.operator,
    OPS_READONLY_PASSWORD: passwords.reader,
    STRIPE_WEBHOOK_SECRET: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
    ...env,
  });
  const app = createServer({ bodyLimitBytes: 1_048_576, log });
  const closing = registerOps(app, { settings, log });
  atEnd(t, async () => {
    await app.close();
    for (const { run } of closing) await run();
  });
  const listening = app.listen({ port: 0, host: '127.0.0.1' });
  const ask = async (path: string, role: Role, fields?: Record<string, string>) => {
    // Without the headers of a browser: a program that gives the password.
    const answer = await fetch(`${await listening}${path}`, {
      redirect: 'manual',
      headers: {
        accept: 'text/html',
        authorization: `Basic ${Buffer.from(`ada:${passwords[role]}`).toString('base64')}`,
      },
      ...(fields && { method: 'POST', body: new URLSearchParams(fields) }),
    });
    return { statusCode: answer.status, body: await answer.text() };
  };
  return {
    read: async (path, role = 'operator') => {
      const { statusCode, body } = await ask(path, role);
      if (statusCode !== 200) throw new Error(`${statusCode} on ${path}: ${body}`);
      return body;
    },
    post: (path, fields, role = 'operator') => ask(path, role, fields),
  };
}
