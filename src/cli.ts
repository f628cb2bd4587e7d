#!/usr/bin/env node
// Checks the version of Node before loading code that an older Node cannot parse.
import { nodeProblem } from './supported-node.ts';

const problem = nodeProblem(process.versions.node);
if (problem === undefined) {
  const { runMain } = await import('./main.ts');
  await runMain();
} else {
  process.stderr.write(`${problem}\n`);
  process.exitCode = 1;
}
