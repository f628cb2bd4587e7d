// Run by tap after the last file ("after" in package.json): the tests' Postgres is gone before `npm test` returns.
import { stopCluster } from './cluster-client.ts';

await stopCluster(process.ppid);
