// A database of version 4, with events and tombstones in it, gets the rules of repeated bodies and forgets nothing.
import { readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import pg from 'pg';
import t from 'tap';
import { copySource } from '../faults/mutants/source-copy.ts';
import { testProfile } from '../faults/rig.ts';
import { sendUnsigned, unsignedIdsEnvironment } from '../faults/unsigned-ids.ts';
import { atEnd } from '../support/at-end.ts';
import { createTestDatabase } from '../support/database.ts';
import { runProcess, startProcess } from '../support/processes.ts';
import { newBody, repeated, shopify, stored, suspected } from '../support/unsigned-inbox.ts';

const { url } = await createTestDatabase(t, { migrated: false });
const env = { ...testProfile, ...unsignedIdsEnvironment, DATABASE_URL: url };
const pool = new pg.Pool({ connectionString: url, max: 1 });
atEnd(t, () => pool.end());

/** As a receiver of version 4 stored it: `age` ago, under any topic of its body the only one. */
async function storeEvent({ id, topic, body }: ReturnType<typeof shopify>, age: string): Promise<void> {
  await pool.query(
    `INSERT INTO webhook_events (source, provider, event_id, topic, payload, body_sha256, unique_body, status, processed_at, received_at)
     VALUES ('shopify', 'shopify', $1, $2, $3::text::jsonb, sha256(convert_to($3::text, 'UTF8')), true, 'PROCESSED', now(), now() - $4::interval)`,
    [id, topic, body, age],
  );
}

t.test('rows, tombstones and their ids', async (t) => {
  const old = copySource(t);
  const sql = path.join(old, 'sql');
  for (const file of readdirSync(sql)) if (Number.parseInt(file, 10) > 4) rmSync(path.join(sql, file));
  const before = await runProcess(['migrate'], { env, script: path.join(old, 'src/cli.ts') });
  t.equal(before.code, 0, before.stderr);

  const [recent, late, buried] = [newBody(), newBody(), newBody()].map((body) =>
    shopify(body, 'orders/create'),
  ) as [ReturnType<typeof shopify>, ReturnType<typeof shopify>, ReturnType<typeof shopify>];
  await storeEvent(recent, '1 hour');
  await storeEvent(late, '80 hours');
  await pool.query(
    `INSERT INTO tombstones (source, event_id, processed_on, purged_on, body_sha256)
     VALUES ('shopify', $1, current_date - 40, current_date - 10, sha256(convert_to($2::text, 'UTF8')))`,
    [buried.id, buried.body],
  );

  const migrated = await runProcess(['migrate'], { env });
  t.match(migrated, { code: 0, stdout: /keep-repeated-bodies/ }, migrated.stderr);
  const web = startProcess(t, ['web'], { env });
  const { address } = await web.waitForLog(({ msg }) => msg === 'listening');
  await web.waitForLog('ready');
  const send = (delivery: ReturnType<typeof shopify>) => sendUnsigned(String(address), delivery);
  const rowOf = async ({ id }: ReturnType<typeof shopify>) =>
    (await pool.query('SELECT *, 0 AS effects FROM webhook_events WHERE event_id = $1', [id])).rows[0];

  for (const known of [recent, late, buried]) t.match(await send(known), repeated, 'its id is known');
  for (const first of [recent, late, buried]) {
    const replay = shopify(first.body, 'orders/create');
    t.match(await send(replay), stored);
    t.match(await rowOf(replay), suspected(first));
  }
  const otherTopic = shopify(recent.body, 'orders/paid');
  t.match(await send(otherTopic), stored);
  t.match(await rowOf(otherTopic), { status: 'PENDING' }, 'the topic that version 4 swallowed');
  for (const first of [late, buried]) {
    const tooLate = shopify(first.body, 'orders/paid');
    t.match(await send(tooLate), stored);
    t.match(await rowOf(tooLate), suspected(first));
  }
  t.equal(await rowOf(buried), undefined, 'what was purged stays purged');
});
