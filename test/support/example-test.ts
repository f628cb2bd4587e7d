// A test file that behaves as it is told: what the harness makes of it is tested in harness.slow.ts.
import { createServer } from 'node:http';
import pg from 'pg';
import t from 'tap';
import { atEnd } from './at-end.ts';
import { createTestDatabase } from './database.ts';
import { startProcess } from './processes.ts';

const manner = process.argv[2];
const say = (line: object): void => {
  process.stdout.write(`${JSON.stringify(line)}\n`);
};
const sleeper = new URL('./wait-for-kill.ts', import.meta.url).pathname;

if (manner === 'process-stays' || manner === 'process-fails') {
  const started = startProcess(t, manner === 'process-fails' ? ['fail'] : [], { script: sleeper });
  await (manner === 'process-fails' ? started.exited : started.waitForLog('waiting'));
  say({ msg: 'started', startedPid: started.pid });
} else {
  const { url, name } = await createTestDatabase(t, { migrated: manner === 'migrated' });
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {}); // its server may end before it
  await client.connect();
  const { rows } = await client.query('SHOW data_directory');
  say({ msg: 'ready', database: name, dataDir: rows[0].data_directory, startedPid: 0 });
  if (manner === 'migrated') await client.query('SELECT FROM webhook_events');
  if (manner !== 'leaves-session') await client.end();
}
if (manner === 'leaves-server') createServer().listen(0);
if (manner === 'clean-ups') {
  atEnd(t, () => say({ msg: 'first' }));
  atEnd(t, () => Promise.reject(new Error('second')));
  atEnd(t, () => say({ msg: 'third' }));
}
if (manner === 'stays' || manner === 'process-stays') setInterval(() => {}, 60_000);
else t.equal(manner === 'fails', false);
