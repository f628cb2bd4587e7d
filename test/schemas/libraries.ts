// The same schema in each library, with the type that a handler must see. Every `expectType` is a test of `tsc`.
import { type } from 'arktype';
import * as valibot from 'valibot';
import { z as zod3 } from 'zod-3';
import { z as zod324 } from 'zod-3.24';
import { z as zod4 } from 'zod-4';
import * as zodMini from 'zod-4/mini';
import { z as zod40 } from 'zod-4.0';
import { defineHandler, type Handler } from '../../src/index.ts';
import { expectType } from './expect-type.ts';

/** What JSON says, and what the schemas make of it: `note` becomes its length, `currency` has a default. */
export interface Order {
  id: string;
  items: { sku: string; count: number }[];
  note: number;
  currency: string;
}

const isOrder = expectType<Order>();
const isNote = expectType<number>();

const order = { provider: 'stripe', topic: 'order' } as const;
const asynchronous = { provider: 'stripe', topic: 'async' } as const;
/** What the handlers were given. */
export const seen: unknown[] = [];

const zod3Order = zod3.object({
  id: zod3.string().startsWith('ord_'),
  items: zod3.array(zod3.object({ sku: zod3.string().max(5), count: zod3.number().int() })),
  note: zod3.string().transform((note) => note.length),
  currency: zod3.enum(['eur', 'usd']).default('eur').transform(String),
});
const zod324Order = zod324.object({
  id: zod324.string().startsWith('ord_'),
  items: zod324.array(zod324.object({ sku: zod324.string().max(5), count: zod324.number().int() })),
  note: zod324.string().transform((note) => note.length),
  currency: zod324.enum(['eur', 'usd']).default('eur').transform(String),
});
const zod4Order = zod4.object({
  id: zod4.string().startsWith('ord_'),
  items: zod4.array(zod4.object({ sku: zod4.string().max(5), count: zod4.int() })),
  note: zod4.string().transform((note) => note.length),
  currency: zod4.enum(['eur', 'usd']).default('eur').transform(String),
});
const zod40Order = zod40.object({
  id: zod40.string().startsWith('ord_'),
  items: zod40.array(zod40.object({ sku: zod40.string().max(5), count: zod40.int() })),
  note: zod40.string().transform((note) => note.length),
  currency: zod40.enum(['eur', 'usd']).default('eur').transform(String),
});
const miniOrder = zodMini.object({
  id: zodMini.string().check(zodMini.startsWith('ord_')),
  items: zodMini.array(
    zodMini.object({ sku: zodMini.string().check(zodMini.maxLength(5)), count: zodMini.int() }),
  ),
  note: zodMini.pipe(
    zodMini.string(),
    zodMini.transform((note: string) => note.length),
  ),
  currency: zodMini.pipe(zodMini._default(zodMini.enum(['eur', 'usd']), 'eur'), zodMini.transform(String)),
});
const valibotOrder = valibot.object({
  id: valibot.pipe(valibot.string(), valibot.startsWith('ord_')),
  items: valibot.array(
    valibot.object({
      sku: valibot.pipe(valibot.string(), valibot.maxLength(5)),
      count: valibot.pipe(valibot.number(), valibot.integer()),
    }),
  ),
  note: valibot.pipe(
    valibot.string(),
    valibot.transform((note) => note.length),
  ),
  currency: valibot.pipe(
    valibot.optional(valibot.picklist(['eur', 'usd']), 'eur'),
    valibot.transform((name) => String(name)),
  ),
});
const arktypeOrder = type({
  id: type(/^ord_/).as<string>(),
  items: type({ sku: 'string <= 5', count: 'number.integer' }).array(),
  note: type('string').pipe((note): number => note.length),
  currency: type("'eur' | 'usd'")
    .pipe((name): string => name)
    .default('eur'),
});

export const libraries: Record<string, { sync: Handler; async?: Handler }> = {
  'zod 3.24': {
    sync: defineHandler({
      ...{ ...order, payload: zod324Order },
      entity: ({ id, note }) => `${id} ${isNote(note, true)}`,
      handle: async ({ payload }) => seen.push(isOrder(payload, true)),
    }),
    async: defineHandler({
      ...{ ...asynchronous, payload: zod324Order.refine(async ({ id }) => id !== 'ord_unknown') },
      entity: ({ id }) => id,
      handle: async ({ payload }) => seen.push(isOrder(payload, true)),
    }),
  },
  'zod 3': {
    sync: defineHandler({
      ...{ ...order, payload: zod3Order },
      entity: ({ id, note }) => `${id} ${isNote(note, true)}`,
      handle: async ({ payload }) => seen.push(isOrder(payload, true)),
    }),
    async: defineHandler({
      ...{ ...asynchronous, payload: zod3Order.refine(async ({ id }) => id !== 'ord_unknown') },
      entity: ({ id }) => id,
      handle: async ({ payload }) => seen.push(isOrder(payload, true)),
    }),
  },
  'zod 4.0': {
    sync: defineHandler({
      ...{ ...order, payload: zod40Order },
      entity: ({ id, note }) => `${id} ${isNote(note, true)}`,
      handle: async ({ payload }) => seen.push(isOrder(payload, true)),
    }),
    async: defineHandler({
      ...{ ...asynchronous, payload: zod40Order.refine(async ({ id }) => id !== 'ord_unknown') },
      entity: ({ id }) => id,
      handle: async ({ payload }) => seen.push(isOrder(payload, true)),
    }),
  },
  'zod 4': {
    sync: defineHandler({
      ...{ ...order, payload: zod4Order },
      entity: ({ id, note }) => `${id} ${isNote(note, true)}`,
      handle: async ({ payload }) => seen.push(isOrder(payload, true)),
    }),
    async: defineHandler({
      ...{ ...asynchronous, payload: zod4Order.refine(async ({ id }) => id !== 'ord_unknown') },
      entity: ({ id }) => id,
      handle: async ({ payload }) => seen.push(isOrder(payload, true)),
    }),
  },
  'zod 4 mini': {
    sync: defineHandler({
      ...{ ...order, payload: miniOrder },
      entity: ({ id, note }) => `${id} ${isNote(note, true)}`,
      handle: async ({ payload }) => seen.push(isOrder(payload, true)),
    }),
  },
  valibot: {
    sync: defineHandler({
      ...{ ...order, payload: valibotOrder },
      entity: ({ id, note }) => `${id} ${isNote(note, true)}`,
      handle: async ({ payload }) => seen.push(isOrder(payload, true)),
    }),
    async: defineHandler({
      ...asynchronous,
      payload: valibot.pipeAsync(
        valibotOrder,
        valibot.checkAsync(async ({ id }) => id !== 'ord_unknown'),
      ),
      entity: ({ id }) => id,
      handle: async ({ payload }) => seen.push(isOrder(payload, true)),
    }),
  },
  // It has no asynchronous schemas.
  arktype: {
    sync: defineHandler({
      ...{ ...order, payload: arktypeOrder },
      entity: ({ id, note }) => `${id} ${isNote(note, true)}`,
      handle: async ({ payload }) => seen.push(isOrder(payload, true)),
    }),
  },
};
