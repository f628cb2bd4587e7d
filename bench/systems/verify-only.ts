// The ceiling for every system on Fastify.
import { web } from './peer.ts';
import type { System } from './system.ts';

export const verifyOnly: System = {
  name: 'verify-only',
  title: 'Fastify verifying only, nothing stored (the ceiling)',
  prepare: async () => {},
  web: web('verify-only'),
  workers: [],
};
