// All systems, Postbell first.
import { bullmq } from './bullmq.ts';
import { graphileWorker } from './graphile-worker.ts';
import { insert } from './insert.ts';
import { pgBoss } from './pg-boss.ts';
import { postbell } from './postbell.ts';
import type { System } from './system.ts';
import { verifyOnly } from './verify-only.ts';

export const systems: readonly System[] = [postbell, verifyOnly, bullmq, insert, graphileWorker, pgBoss];
