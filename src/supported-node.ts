// The oldest Node that runs this package. Loaded first, also by a Node that cannot parse the other modules.

/** As `engines` in package.json. */
const oldestMajor = 24;

/** @param version e.g. `24.1.0` @returns the problem with the remedy; undefined when this Node can run the package */
export function nodeProblem(version: string): string | undefined {
  if (Number.parseInt(version, 10) >= oldestMajor) return undefined;
  return `postbell needs Node ${oldestMajor} or newer, and this is Node ${version}: install a newer Node (https://nodejs.org)`;
}
