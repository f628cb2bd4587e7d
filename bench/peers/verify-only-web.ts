// The ceiling: what Fastify and the signature alone allow. Stores nothing.
import { serve } from './serve.ts';

await serve(async () => {});
