// A process that starts an embedded Postgres, says where it is, and then ends as it is told, or stays.

import { chooseUser, findBinaries } from '../../src/dev/postgres/binaries.ts';
import { startEmbeddedPostgres } from '../../src/dev/postgres/start.ts';

const [manner = 'stay', options = '{}'] = process.argv.slice(2);
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

if (manner === 'find') {
  say({ msg: 'found', ...(await findBinaries(chooseUser(undefined))) });
} else {
  const { url, port, pid, dataDir } = await startEmbeddedPostgres(JSON.parse(options));
  say({ msg: 'ready', url, port, postgresPid: pid, dataDir });
  if (manner === 'exit') process.exit(3);
  if (manner === 'throw') throw new Error('thrown on purpose');
  if (manner === 'stay') setInterval(() => {}, 60_000);
  if (manner === 'drain') {
    const alive = setInterval(() => {}, 60_000);
    process.on('SIGINT', () => {
      say({ msg: 'draining' });
      clearInterval(alive);
    });
  }
}
