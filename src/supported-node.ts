// Which Node this package runs on. Loaded before everything else, also by a Node that cannot parse the rest.

/** As `engines` in package.json. */
const oldestMajor = 24;

/** Why this Node cannot run the package, with the remedy; undefined when it can. @param version e.g. `24.1.0` */
export function nodeProblem(version: string): string | undefined {
  if (Number.parseInt(version, 10) >= oldestMajor) return undefined;
  return `postbell needs Node ${oldestMajor} or newer, and this is Node ${version}: install a newer one (https://nodejs.org)`;
}
