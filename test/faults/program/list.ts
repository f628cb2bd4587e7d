// The faults, in the order of docs/reliability.md.

import {
  deafLog,
  fullDisk,
  lateDatabase,
  missingSupervisor,
  readOnlyDatabase,
  wrongClocks,
} from './bad-days.ts';
import { jobsNotInserted, lostCommitAnswers, rolledBackCommits } from './commit-faults.ts';
import { connectionBudget, exhaustedPool, rotatedPassword } from './connections.ts';
import { concurrentDuplicates, equalIds, lockConflicts, lockedTable } from './contention.ts';
import { asynchronousCommits, databaseCrashes, databaseRestarts } from './database-faults.ts';
import { manyMigrations, migrationUnderLoad, rollingDeploy } from './deploys.ts';
import type { Fault } from './fault.ts';
import { badErrorTexts, failingHandler, misusedTransaction } from './handler-faults.ts';
import { keepAliveRace } from './keep-alive.ts';
import { fullTables, heldSnapshot, hostileSenders } from './load-faults.ts';
import { networkCuts, silentListener, slowDatabase } from './network.ts';
import { blockedEventLoop, poisonEvents } from './poison.ts';
import { transactionPooler } from './pooler.ts';
import { randomKills } from './random-kills.ts';
import { manyReplays, repeatedReplays } from './replays.ts';
import { longPause, purgedPayloads, vanishedJobs } from './retention.ts';
import { platformKills, stoppedWeb, stoppedWithoutDatabase, stoppedWorker } from './shutdowns.ts';
import { restoredBackup, soak } from './soak.ts';
import { webKills } from './web-kills.ts';
import { workerKills } from './worker-kills.ts';
import { frozenWorkers, overrunningHandlers } from './zombies.ts';

export const faults: readonly Fault[] = [
  webKills,
  workerKills,
  randomKills,
  databaseRestarts,
  databaseCrashes,
  asynchronousCommits,
  rolledBackCommits,
  lostCommitAnswers,
  failingHandler,
  poisonEvents,
  blockedEventLoop,
  overrunningHandlers,
  frozenWorkers,
  connectionBudget,
  exhaustedPool,
  stoppedWeb,
  stoppedWorker,
  platformKills,
  stoppedWithoutDatabase,
  networkCuts,
  slowDatabase,
  misusedTransaction,
  badErrorTexts,
  rotatedPassword,
  jobsNotInserted,
  silentListener,
  keepAliveRace,
  transactionPooler,
  manyMigrations,
  migrationUnderLoad,
  rollingDeploy,
  longPause,
  vanishedJobs,
  purgedPayloads,
  manyReplays,
  repeatedReplays,
  concurrentDuplicates,
  lockConflicts,
  heldSnapshot,
  fullTables,
  fullDisk,
  readOnlyDatabase,
  lockedTable,
  wrongClocks,
  lateDatabase,
  missingSupervisor,
  hostileSenders,
  deafLog,
  equalIds,
  restoredBackup,
  soak,
].toSorted((a, b) => Number(a.id.slice(1)) - Number(b.id.slice(1)));
