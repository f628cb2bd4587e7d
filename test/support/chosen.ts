// Which of a program's parts a command line or variable chooses: F1,F2. A name that does not exist would choose nothing
// and pass: it is an error.

/**
 * @param text names with commas between them; undefined chooses all
 * @throws Error that says which names do not exist
 */
export function chosenOf(
  what: string,
  names: readonly string[],
  text: string | undefined,
): readonly string[] | undefined {
  if (text === undefined) return undefined;
  const chosen = text.split(',').map((name) => name.trim());
  const unknown = chosen.filter((name) => !names.includes(name));
  if (unknown.length === 0) return chosen;
  throw new Error(
    `there is no ${what} ${unknown.map((name) => `"${name}"`).join(', ')}; there are ${names.join(', ')}`,
  );
}

/** @throws Error that names the option */
export function wholeNumber(option: string, text: string | undefined, fallback: number, least = 0): number {
  if (text === undefined) return fallback;
  if (/^\d{1,10}$/.test(text) && Number(text) >= least) return Number(text);
  throw new Error(`${option} is "${text}"; it must be a whole number${least ? ` of ${least} or more` : ''}`);
}

/** Runs a program's start; a wrong command line is said in one line, with exit code 1. */
export function orExit<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exit(1);
  }
}
