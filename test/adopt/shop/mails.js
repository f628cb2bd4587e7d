// The process that sends the shop's mails, by jobs of pg-boss 10.
const PgBoss = require('pg-boss');
const { openDatabase } = require('./database.js');

async function start() {
  const { pool } = openDatabase();
  const boss = new PgBoss(process.env.DATABASE_URL);
  await boss.start();
  await boss.createQueue('mails');
  await boss.work('mails', { pollingIntervalSeconds: 0.5 }, async ([job]) => {
    await pool.query('INSERT INTO sent_mails VALUES ($1)', [job.data.order]);
  });
  process.once('SIGTERM', async () => {
    await boss.stop();
    await pool.end();
  });
}
start();
