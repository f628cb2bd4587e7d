#!/usr/bin/env node
// Checks which Node this is, before anything is loaded that an older one cannot parse or run.
import { nodeProblem } from './supported-node.ts';

const problem = nodeProblem(process.versions.node);
if (problem === undefined) {
  const { runMain } = await import('./main.ts');
  await runMain();
} else {
  process.stderr.write(`${problem}\n`);
  process.exitCode = 1;
}
