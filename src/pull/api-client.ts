// A provider's API with its key: builds the requests, keeps the key on its origin, and checks every answer.
import type { RecoverFailure } from '../events/recoveries.ts';
import { type ApiAnswer, type ApiRequest, parseExactly, type RecoverSource } from '../providers/index.ts';
import { variableOf } from '../providers/sources.ts';
import type { HttpAnswer } from './http.ts';
import { RecoverError } from './recover-error.ts';
import { type ApiLimits, apiLimits, isLimited, sendOften } from './tries.ts';

export interface ApiClient {
  /** @throws RecoverError; the reason of `signal` when it is aborted */
  send(request: ApiRequest): Promise<ApiAnswer>;
}

export interface ApiClientOptions {
  recover: RecoverSource;
  signal: AbortSignal;
  /** Default: `apiLimits`. */
  limits?: ApiLimits;
}

const baseHeaders = { accept: 'application/json', 'accept-encoding': 'identity', 'user-agent': 'postbell' };

export function createApiClient({ recover, signal, limits = apiLimits }: ApiClientOptions): ApiClient {
  const { spec, key } = recover;
  let token: string | undefined;

  async function credential(): Promise<string> {
    const wish = spec.token?.request(key);
    if (!wish) return key;
    token ??= await fetchToken(wish, spec.token!.read);
    return token;
  }

  async function fetchToken(
    { path, headers, form }: { path: string; headers: Readonly<Record<string, string>>; form: string },
    read: (json: unknown) => string | undefined,
  ): Promise<string> {
    const url = addressOf(recover, path);
    const answer = await sendOften(
      {
        method: 'POST',
        url,
        headers: { ...baseHeaders, ...headers, 'content-type': 'application/x-www-form-urlencoded' },
        body: form,
      },
      limits,
      signal,
    );
    checkStatus(recover, url, answer);
    const found = read(parseAnswer(recover, url, answer));
    if (found === undefined) throw unexpected(recover, url, 'has no token');
    return found;
  }

  async function attempt({ method, body }: ApiRequest, url: URL): Promise<HttpAnswer> {
    const headers = {
      ...baseHeaders,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...spec.authorize(await credential()),
    };
    return sendOften(
      {
        method: method ?? 'GET',
        url,
        headers,
        body: body ? JSON.stringify(body) : method === 'POST' ? '' : undefined,
      },
      limits,
      signal,
    );
  }

  return {
    send: async (request) => {
      const url = addressOf(recover, request.path, request.query);
      let answer = await attempt(request, url);
      if (answer.status === 401 && token !== undefined) {
        token = undefined; // it has ended
        answer = await attempt(request, url);
      }
      checkStatus(recover, url, answer);
      return { json: parseAnswer(recover, url, answer), link: answer.link };
    },
  };
}

const settingOf = ({ source }: RecoverSource, end: string) => `${variableOf(source.name)}_API_${end}`;

/** A path continues the API's address; a link of an answer must lead to the same origin. */
function addressOf(recover: RecoverSource, path: string, query: ApiRequest['query'] = {}): URL {
  const url = URL.parse(path.startsWith('/') ? recover.url + path : path);
  if (url?.origin !== new URL(recover.url).origin || url.username !== '' || url.password !== '')
    throw new RecoverError(
      'unexpected_answer',
      `an answer of ${recover.source.provider.title} leads to another address than ${settingOf(recover, 'URL')}; the key is not sent there`,
    );
  for (const [name, values] of Object.entries(query))
    for (const value of [values].flat()) url.searchParams.append(name, value);
  return url;
}

function checkStatus(recover: RecoverSource, { pathname }: URL, answer: HttpAnswer): void {
  const { status } = answer;
  if (status >= 200 && status < 300) return;
  const { spec } = recover;
  const fail = (failure: RecoverFailure, message: string) =>
    new RecoverError(failure, `${pathname} answered ${status}${message}`, { status });
  if (isLimited(answer) || status >= 500)
    throw fail('unavailable', ' again and again; the next run goes on here');
  if (status === 401 || status === 403)
    throw fail('key_refused', `: the key was not accepted; check ${settingOf(recover, 'KEY')} (${spec.key})`);
  if (status >= 300 && status < 400)
    throw fail(
      'request_refused',
      `, a redirect, which is not followed; set ${settingOf(recover, 'URL')} to the API's own address`,
    );
  const wanted = spec.wants ? ` and ${settingOf(recover, spec.wants.setting)}` : '';
  throw fail('request_refused', `; check ${settingOf(recover, 'URL')}${wanted}`);
}

function parseAnswer(recover: RecoverSource, url: URL, { body, contentEncoding }: HttpAnswer): unknown {
  if (contentEncoding && contentEncoding !== 'identity') throw unexpected(recover, url, 'is compressed');
  if (body.length === 0) return undefined;
  try {
    return parseExactly(body.toString('utf8'));
  } catch {
    // The parser's message quotes the answer.
    const isHtml = /^\s*</.test(body.toString('latin1', 0, 100));
    throw unexpected(recover, url, isHtml ? 'is HTML, not JSON' : 'is not JSON');
  }
}

function unexpected(recover: RecoverSource, { pathname }: URL, what: string): RecoverError {
  return new RecoverError(
    'unexpected_answer',
    `the answer to ${pathname} ${what}; check ${settingOf(recover, 'URL')}`,
  );
}
