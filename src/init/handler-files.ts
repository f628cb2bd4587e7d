// The texts of the example handler, its list and its test, as ES modules or CommonJS, with or without types.
import type { Provider } from '../providers/index.ts';
import { fillTemplate } from './fill-template.ts';
import type { TestRunner } from './project.ts';

export interface HandlerFilesOptions {
  provider: Provider;
  /** With the dot. */
  extension: '.ts' | '.js';
  /** False: `require` and `module.exports`. */
  isModule: boolean;
  tests: TestRunner;
}

/** A payload's fields that the provider documents for its commonest topic. */
interface Starter {
  topic: string;
  schema: string;
  /** The fields of the log line, in terms of `payload`. */
  logged: string;
  message: string;
  /** A payload that matches, as code. */
  example: string;
}

const starters: Readonly<Record<string, Starter>> = {
  stripe: {
    topic: 'payment_intent.succeeded',
    schema: `z.object({
    data: z.object({
      object: z.object({ id: z.string(), amount_received: z.number(), currency: z.string() }),
    }),
  })`,
    logged: 'payment: payload.data.object.id',
    message: 'payment received',
    example: `{ data: { object: { id: 'pi_1', amount_received: 4200, currency: 'eur' } } }`,
  },
  shopify: {
    topic: 'orders/paid',
    schema: 'z.object({ id: z.number(), total_price: z.string(), currency: z.string() })',
    logged: 'order: payload.id, total: payload.total_price',
    message: 'order paid',
    example: `{ id: 1001, total_price: '42.00', currency: 'EUR' }`,
  },
  github: {
    topic: 'push',
    schema: 'z.object({ ref: z.string(), repository: z.object({ full_name: z.string() }) })',
    logged: 'repository: payload.repository.full_name',
    message: 'pushed',
    example: `{ ref: 'refs/heads/main', repository: { full_name: 'octocat/hello-world' } }`,
  },
};

const anyObject = {
  schema: 'z.record(z.string(), z.unknown())',
  logged: 'fields: Object.keys(payload)',
  message: 'received',
  example: '{}',
};

/** The topic that the example handler of a provider is for. */
export function starterTopic(provider: Provider): string {
  return starterOf(provider).topic;
}

/** @returns texts by their names in the folder of the handlers */
export function handlerFiles({
  provider,
  extension,
  isModule,
  tests,
}: HandlerFilesOptions): Record<string, string> {
  const starter = starterOf(provider);
  const { topic } = starter;
  const name = (topic.toLowerCase().match(/[a-z0-9]+/g) ?? ['every', 'event']).join('-');
  const file = `${name}${extension}`;
  const handler = `on-${name}`.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  return {
    [`index${extension}`]: listText(handler, file, isModule),
    [file]: handlerText(provider, starter, isModule),
    [`${name}${tests.suffix}${extension}`]: testText(starter, file, isModule, tests),
  };
}

function starterOf({ name, samples }: Provider): Starter {
  const known = starters[name];
  if (known) return known;
  const topic = Object.keys(samples).find((sample) => sample !== '*') ?? '*';
  return { ...anyObject, topic };
}

const importLine = (isModule: boolean, names: string, from: string) =>
  isModule ? `import ${names} from '${from}';` : `const ${names} = require('${from}');`;
const exportOf = (isModule: boolean) => (isModule ? 'export default' : 'module.exports =');

function listText(handler: string, file: string, isModule: boolean): string {
  return `// The handlers that \`postbell worker\` runs. Where several are for one event, they run in this order.
${importLine(isModule, handler, `./${file}`)}

${exportOf(isModule)} [${handler}];
`;
}

function handlerText({ name, title }: Provider, starter: Starter, isModule: boolean): string {
  const { topic, schema, logged, message } = starter;
  return `// ${title}: ${topic}.
${importLine(isModule, '{ defineHandler }', 'postbell')}
${importLine(isModule, '{ z }', 'zod')}

${exportOf(isModule)} defineHandler({
  provider: '${name}',
  topic: '${topic}',
  // The fields that you use: an event without them is FAILED at once, without a retry.
  payload: ${schema},
  async handle({ payload, log }) {
    // Take \`tx\`, too, for your own tables: await tx.query('UPDATE … WHERE id = $1', [id]).
    // Its writes and the event's PROCESSED are one commit.
    log.info({ ${logged} }, '${message}');
  },
});
`;
}

function testText(
  { topic, example }: Starter,
  file: string,
  isModule: boolean,
  { name: runner }: TestRunner,
): string {
  const [imports, assertion] =
    runner === 'vitest'
      ? [[importLine(isModule, '{ expect, test }', 'vitest')], `expect(outcome).toBe('processed');`]
      : [
          [
            importLine(isModule, 'assert', 'node:assert/strict'),
            importLine(isModule, '{ test }', 'node:test'),
          ],
          `assert.equal(outcome, 'processed');`,
        ];
  const allImports = [
    ...imports,
    importLine(isModule, '{ runHandler }', 'postbell/testing'),
    importLine(isModule, 'handler', `./${file}`),
  ];
  return fillTemplate('handler-test', {
    topic,
    example,
    assertion,
    imports: allImports.map((line) => `${line}\n`).join(''),
  });
}
