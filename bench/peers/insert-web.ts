// A bare insert each, no job: nobody would ever process it.
import { insertWebhook, openPool } from './database.ts';
import { serve } from './serve.ts';

const pool = openPool();
await serve((event, body) => pool.query(insertWebhook(event.id, event.type, body.toString())));
