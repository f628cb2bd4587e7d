// Who may see the operators' page, and who may change: two passwords, HTTP Basic, and a signed cookie.
import { createHmac, randomBytes, scryptSync } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { sameText } from '../providers/index.ts';

/** `operator`: may change. `reader`: may only look; the server refuses each change. */
export type Role = 'operator' | 'reader';

export interface OpsUser {
  role: Role;
  /** As typed at sign-in, for the record of changes; not proven. */
  name: string;
}

export interface Passwords {
  operator: string;
  /** Undefined: there is no read-only access. */
  reader: string | undefined;
}

/** A cookie of ours. */
export interface Session {
  user: OpsUser;
  /** Of the browser, made at its first sign-in. */
  browser: string;
  /** False: the person must sign in again; the browser is known all the same. */
  isCurrent: boolean;
}

export interface Access {
  /** @returns undefined for a wrong password */
  checkPassword(password: string): Role | undefined;
  /** The session of the request's cookie; undefined without a cookie that this server (or another with its passwords) signed. */
  readSession(request: Pick<IncomingMessage, 'headers'>, now: Date): Session | undefined;
  /** The value of a Set-Cookie header that signs in for 12 hours. @param browser the id of a known browser */
  signIn(user: OpsUser, browser: string | undefined, now: Date, isSecure: boolean): string;
  /** The same for a sign-out: the browser stays known. */
  signOut(session: Session, isSecure: boolean): string;
}

export const defaultName = 'ops';
const maxNameLength = 60;
const cookieName = 'postbell_ops';
/** How long a sign-in lasts: a shift. */
const sessionSeconds = 12 * 3_600;
/** How long a browser is known, so that wrong passwords of others do not keep it out. The longest that browsers keep a cookie. */
const browserSeconds = 400 * 86_400;
const roles: readonly Role[] = ['operator', 'reader'];

export function createAccess(passwords: Passwords): Access {
  // Slow on purpose, once: a cookie that leaked must not be a quick test of guessed passwords.
  const keys = new Map(
    roles.flatMap((role): [Role, Buffer][] => {
      const password = passwords[role];
      return password === undefined ? [] : [[role, scryptSync(password, `postbell ops ${role}`, 32)]];
    }),
  );
  const sign = (role: Role, text: string) => {
    const key = keys.get(role);
    return key && createHmac('sha256', key).update(text).digest('base64url');
  };
  const makeCookie = ({ role, name }: OpsUser, browser: string, endsAt: number, isSecure: boolean) => {
    const text = [role, browser, endsAt, Buffer.from(name, 'utf8').toString('base64url')].join('.');
    const attributes = ['Path=/ops', 'HttpOnly', 'SameSite=Lax', ...(isSecure ? ['Secure'] : [])];
    return [`${cookieName}=${text}.${sign(role, text)}`, `Max-Age=${browserSeconds}`, ...attributes].join(
      '; ',
    );
  };
  return {
    checkPassword: (password) =>
      // Each password is compared, so that the time does not tell which of them is near.
      roles.filter((role) => passwords[role] !== undefined && sameText(passwords[role], password))[0],
    readSession: (request, now) => {
      const cookie = cookieOf(request);
      const at = cookie?.lastIndexOf('.') ?? -1;
      if (cookie === undefined || at < 0) return undefined;
      const text = cookie.slice(0, at);
      const [role, browser, endsAt, name] = text.split('.');
      if (!isRole(role) || !browser || !endsAt || name === undefined) return undefined;
      const expected = sign(role, text);
      if (expected === undefined || !sameText(expected, cookie.slice(at + 1))) return undefined;
      return {
        user: { role, name: Buffer.from(name, 'base64url').toString('utf8') },
        browser,
        isCurrent: Number(endsAt) * 1_000 > now.getTime(),
      };
    },
    signIn: (user, browser = randomBytes(12).toString('base64url'), now, isSecure) =>
      makeCookie(user, browser, Math.floor(now.getTime() / 1_000) + sessionSeconds, isSecure),
    signOut: ({ user, browser }, isSecure) => makeCookie(user, browser, 0, isSecure),
  };
}

function isRole(text: string | undefined): text is Role {
  return roles.some((role) => role === text);
}

function cookieOf({ headers }: Pick<IncomingMessage, 'headers'>): string | undefined {
  for (const pair of (headers.cookie ?? '').split(';')) {
    const [name, value] = pair.trim().split('=', 2);
    if (name === cookieName) return value;
  }
  return undefined;
}

/** The user and password of HTTP Basic; undefined without this header. */
export function readBasic({
  headers,
}: Pick<IncomingMessage, 'headers'>): { name: string; password: string } | undefined {
  const [, encoded] = /^Basic ([A-Za-z0-9+/=]{1,2000})$/i.exec(headers.authorization ?? '') ?? [];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) return undefined;
  return { name: readName(text.slice(0, colon)), password: text.slice(colon + 1) };
}

/** The name for the record of changes: one line, at most 60 characters. */
export function readName(text: string): string {
  const name = text.replaceAll(/[\p{C}\p{Z}]+/gu, ' ').trim();
  return [...name].slice(0, maxNameLength).join('').trim() || defaultName;
}
