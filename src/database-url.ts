// Reads DATABASE_URL as far as `pg` does not, or would only while it connects.
import { readFileSync } from 'node:fs';

const fileParameters = ['sslrootcert', 'sslcert', 'sslkey'] as const;

/** The problem of the URL, to follow the variable's name; undefined when the URL is sound. Contains no secret. */
export function problemOfDatabaseUrl(url: string): string | undefined {
  if (!/^postgres(ql)?:\/\//.test(url)) return 'must look like postgres://user:password@host:5432/name';
  const parameters = parametersOf(url);
  // libpq's word for the CAs of the machine.
  if (parameters.get('sslrootcert') === 'system')
    return 'has sslrootcert=system; leave it out: without a file, the public CAs that Node contains are trusted';
  for (const name of fileParameters) {
    const code = readErrorOf(parameters.get(name));
    if (code)
      return `names a file in ${name} that cannot be read (${code}); give the path of a readable file`;
  }
  return undefined;
}

function parametersOf(url: string): URLSearchParams {
  return new URLSearchParams(/\?([^#]*)/.exec(url)?.[1] ?? '');
}

/** The code of the error of reading the file; undefined if the file is readable, or none is named. */
function readErrorOf(file: string | null): string | undefined {
  if (!file) return undefined;
  try {
    readFileSync(file);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}
