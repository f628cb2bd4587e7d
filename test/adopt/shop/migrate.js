// The shop's own migrations, recorded in a table `migrations`.
const { openDatabase } = require('./database.js');

const migrations = {
  orders: `CREATE TABLE orders (id text PRIMARY KEY, customer text NOT NULL, status text NOT NULL DEFAULT 'open')`,
  carrier: 'CREATE TABLE webhook_events (id serial PRIMARY KEY, body jsonb NOT NULL)',
  mails: 'CREATE TABLE sent_mails (order_id text PRIMARY KEY)',
};

async function migrate() {
  const { pool } = openDatabase();
  await pool.query('CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY)');
  for (const [name, statement] of Object.entries(migrations)) {
    const { rowCount } = await pool.query('INSERT INTO migrations VALUES ($1) ON CONFLICT DO NOTHING', [
      name,
    ]);
    if (rowCount) await pool.query(statement);
  }
  await pool.end();
}
migrate();
