// A provider's API with its key: waits where the provider asks for it, tries again, and checks every answer.
import { setTimeout as delay } from 'node:timers/promises';
import { retryAfterSeconds } from '../forward/retry-after.ts';
import { type ApiAnswer, type ApiRequest, parseExactly, type RecoverSource } from '../providers/index.ts';
import { variableOf } from '../providers/sources.ts';
import { type HttpAnswer, type HttpLimits, type HttpRequest, NoAnswerError, requestOnce } from './http.ts';
import { RecoverError } from './recover-error.ts';

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

export interface ApiLimits extends HttpLimits {
  /** Tries of one request, the first included. */
  maxTries: number;
  /** Longest pause between two tries. A provider that asks for a longer one ends the run. */
  maxPauseMs: number;
  /** The first pause where the provider does not ask for one; it doubles. */
  pauseMs: number;
}

export const apiLimits: ApiLimits = {
  maxBytes: 10 * 1_048_576,
  timeoutMs: 30_000,
  maxTries: 5,
  maxPauseMs: 60_000,
  pauseMs: 1_000,
};

const userAgent = 'postbell';

export function createApiClient({ recover, signal, limits = apiLimits }: ApiClientOptions): ApiClient {
  const { spec, key } = recover;
  const variables = { key: `${variableOf(recover.source.name)}_API_KEY`, url: `${variableOf(recover.source.name)}_API_URL` };
  let token: string | undefined;

  async function credential(): Promise<string> {
    if (!spec.token) return key;
    if (token === undefined) {
      const { path, headers, form } = spec.token.request(key);
      const answer = await sendOften(
        { method: 'POST', url: addressOf(path), headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' }, body: form },
      );
      checkStatus(answer, path);
      token = spec.token.read(parse(answer, path));
      if (token === undefined) throw unexpected(path, 'has no token');
    }
    return token;
  }

  /** A path continues the address; a link of an answer must lead to the same origin. */
  function addressOf(path: string, query: ApiRequest['query'] = {}): URL {
    const text = path.startsWith('/') ? recover.url + path : path;
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url?.origin !== new URL(recover.url).origin || url.username !== '' || url.password !== '')
      throw new RecoverError(
        `an answer of ${recover.source.provider.title} leads to another address than ${variables.url}; the key is not sent there`,
      );
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    return url;
  }

  async function sendOften(request: HttpRequest): Promise<HttpAnswer> {
    for (let nth = 1; ; nth++) {
      const result = await requestOnce(request, limits, signal).catch((error) => {
        if (error instanceof NoAnswerError && nth < limits.maxTries) return error;
        throw error;
      });
      const pauseMs = pauseAfter(result, limits.pauseMs * 2 ** (nth - 1));
      if (pauseMs === undefined || nth === limits.maxTries) return result as HttpAnswer;
      if (pauseMs > limits.maxPauseMs)
        throw new RecoverError(
          `${request.url.host} asks for a pause of ${Math.ceil(pauseMs / 1_000)} s; the next run goes on here`,
        );
      await delay(pauseMs, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }

  function checkStatus({ status }: HttpAnswer, path: string): void {
    if (status >= 200 && status < 300) return;
    const name = `${new URL(addressOf(path)).pathname} answered ${status}`;
    const fail = (message: string) => new RecoverError(message, { status });
    if (status === 401 || status === 403)
      throw fail(`${name}: the key was not accepted; check ${variables.key} (${spec.key})`);
    if (status >= 300 && status < 400)
      throw fail(`${name}, a redirect, which is not followed; set ${variables.url} to the API's own address`);
    if (status === 429 || status >= 500) throw fail(`${name} again and again; the next run goes on here`);
    throw fail(`${name}; check ${variables.url}${spec.path ? ` and ${variables.url.replace(/URL$/, 'PATH')}` : ''}`);
  }

  function parse({ body, contentEncoding }: HttpAnswer, path: string): unknown {
    if (contentEncoding && contentEncoding !== 'identity') throw unexpected(path, 'is compressed');
    if (body.length === 0) return undefined;
    try {
      return parseExactly(body.toString('utf8'));
    } catch {
      // The parser's message quotes the answer.
      throw unexpected(path, /^\s*</.test(body.toString('latin1', 0, 100)) ? 'is HTML, not JSON' : 'is not JSON');
    }
  }

  function unexpected(path: string, what: string): RecoverError {
    return new RecoverError(`the answer to ${addressOf(path).pathname} ${what}; check ${variables.url}`);
  }

  async function send(request: ApiRequest): Promise<ApiAnswer> {
    const { method = 'GET', path, query, body } = request;
    const attempt = async () => {
      const headers = {
        accept: 'application/json',
        'accept-encoding': 'identity',
        'user-agent': userAgent,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...spec.authorize(await credential()),
      };
      return sendOften({ method, url: addressOf(path, query), headers, body: body && JSON.stringify(body) });
    };
    let answer = await attempt();
    if (answer.status === 401 && token !== undefined) {
      token = undefined; // it expired
      answer = await attempt();
    }
    checkStatus(answer, path);
    return { json: parse(answer, path), link: answer.link };
  }

  return { send };
}

/** @returns ms; undefined where the answer is final */
function pauseAfter(result: HttpAnswer | NoAnswerError, fallbackMs: number): number | undefined {
  if (result instanceof NoAnswerError) return fallbackMs;
  const { status, retryAfter, rateLimitRemaining, rateLimitReset } = result;
  const isLimited = status === 429 || (status === 403 && (retryAfter !== undefined || rateLimitRemaining === '0'));
  if (!isLimited && ![500, 502, 503, 504].includes(status)) return undefined;
  const seconds = retryAfterSeconds(retryAfter, new Date());
  if (seconds !== undefined) return seconds * 1_000;
  if (isLimited && rateLimitRemaining === '0' && /^\d{9,11}$/.test(rateLimitReset ?? ''))
    return Math.max(fallbackMs, Number(rateLimitReset) * 1_000 - Date.now());
  return fallbackMs;
}
