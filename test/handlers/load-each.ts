// Run by load.test.ts in a Node without tap's loaders: loads each module and prints the number of its handlers, or its error.
import { ConfigError, describeError } from '../../src/errors.ts';
import { loadHandlers } from '../../src/handlers/load.ts';

const results: (number | string)[] = [];
for (const path of process.argv.slice(2)) {
  try {
    results.push((await loadHandlers(path)).length);
  } catch (error) {
    results.push(error instanceof ConfigError ? error.problems.join('\n') : describeError(error).text);
  }
}
process.stdout.write(JSON.stringify(results));
