const { eq } = require('drizzle-orm');
const express = require('express');
const PgBoss = require('pg-boss');
const { openDatabase, orders, webhookEvents } = require('./database.js');

const { pool, db } = openDatabase();
const boss = new PgBoss(process.env.DATABASE_URL);

const app = express();
app.use(express.json());
app.post('/orders', async (request, response) => {
  await db.insert(orders).values(request.body);
  await boss.send('mails', { order: request.body.id });
  response.status(201).end();
});
app.get('/orders/:id', async (request, response) => {
  const [order] = await db.select().from(orders).where(eq(orders.id, request.params.id));
  response.status(order ? 200 : 404).json(order ?? {});
});
app.post('/carrier', async (request, response) => {
  await db.insert(webhookEvents).values({ body: request.body });
  response.status(204).end();
});

async function start() {
  await boss.start();
  await boss.createQueue('mails');
  const server = app.listen(process.env.PORT, '127.0.0.1', () => {
    process.stdout.write(`the shop listens on http://127.0.0.1:${server.address().port}\n`);
  });
  process.once('SIGTERM', () => server.close(stop));
}
async function stop() {
  await boss.stop();
  await pool.end();
}
start();
