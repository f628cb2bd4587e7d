// A bare insert each, no job.
import { countWebhooks, makeTables, web } from './peer.ts';
import type { System } from './system.ts';

export const insert: System = {
  name: 'insert',
  title: 'Fastify + a bare insert each, no job',
  prepare: makeTables,
  web: web('insert'),
  stored: countWebhooks,
  workers: [],
};
