// Stands in for src/cli.ts: the same commands, without the command line around them.
import { runMigrate } from '../../src/commands/migrate.ts';
import { runWeb } from '../../src/commands/web.ts';
import { runWorker } from '../../src/commands/worker.ts';

const verbs: Record<string, (env: NodeJS.ProcessEnv) => Promise<unknown>> = {
  migrate: runMigrate,
  web: runWeb,
  worker: runWorker,
};
await verbs[process.argv[2] ?? '']?.(process.env);
