const { drizzle } = require('drizzle-orm/node-postgres');
const { jsonb, pgTable, serial, text } = require('drizzle-orm/pg-core');
const { Pool } = require('pg');

const orders = pgTable('orders', {
  id: text().primaryKey(),
  customer: text().notNull(),
  status: text().notNull().default('open'),
});
/** The shop's own table, of its carrier's calls. */
const webhookEvents = pgTable('webhook_events', { id: serial().primaryKey(), body: jsonb().notNull() });

/** The caller ends the pool. */
function openDatabase() {
  const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 3 });
  return { pool, db: drizzle(pool) };
}

module.exports = { openDatabase, orders, webhookEvents };
