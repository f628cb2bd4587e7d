// What the types of defineHandler refuse. Never run: `tsc` is its runner.
import { z } from 'zod-4';
import { defineHandler } from '../../src/index.ts';
import { expectType } from './expect-type.ts';

const order = { provider: 'stripe', topic: 'order' } as const;

defineHandler({
  ...{ ...order, payload: z.object({ id: z.string() }) },
  // @ts-expect-error the payload has no such field
  handle: async ({ payload }) => payload.amount,
});

defineHandler({ ...order, handle: async ({ payload }) => expectType<unknown>()(payload, true) });

// @ts-expect-error not a schema
defineHandler({ ...order, payload: { parse: () => 1 }, handle: async () => {} });
