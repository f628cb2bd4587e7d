// Where events are forwarded to, and the check of it.
import { encodedSecret } from '../providers/secrets.ts';

export interface Target {
  url: string;
  secret: string;
}

const secretSpec = encodedSecret({
  label: 'Secret of the forward',
  where: 'the same value in the environment of the app',
  key: { base64: 'whsec_' },
  minBytes: 24, // the least that Standard Webhooks allows
});
const howToMake = 'postbell keys standard-webhooks makes one';

/** @param names how the two are called where they were given. @returns every problem, without the values */
export function targetProblems({ url, secret }: Target, names: { url: string; secret: string }): string[] {
  const problems: string[] = [];
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !/^https?:$/.test(parsed.protocol))
    problems.push(`${names.url} must be an absolute address, e.g. http://127.0.0.1:3000/webhooks`);
  else if (parsed.username || parsed.password)
    problems.push(`${names.url} must not hold a user or a password: the signature proves the sender`);
  if (!secret) problems.push(`${names.secret} is missing; ${howToMake}`);
  else {
    const problem = secretSpec.check(secret);
    if (problem) problems.push(`${names.secret} ${problem}; ${howToMake}`);
  }
  return problems;
}
