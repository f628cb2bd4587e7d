// The faults, in the order of the reliability plan.
import { asynchronousCommits, databaseCrashes, databaseRestarts } from './database-faults.ts';
import type { Fault } from './fault.ts';
import { randomKills } from './random-kills.ts';
import { webKills } from './web-kills.ts';
import { workerKills } from './worker-kills.ts';

export const faults: readonly Fault[] = [
  webKills,
  workerKills,
  randomKills,
  databaseRestarts,
  databaseCrashes,
  asynchronousCommits,
];
