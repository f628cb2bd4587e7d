// The files of the page: read once, served from memory under a name that changes with their content.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { FastifyInstance } from 'fastify';

const types = {
  css: 'text/css; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  icon: 'image/svg+xml',
  htmx: 'text/javascript; charset=utf-8',
} as const;

type AssetName = keyof typeof types;
export type AssetUrls = Readonly<Record<AssetName, string>>;

const own = (file: string) => readFileSync(new URL(`./assets/${file}`, import.meta.url));

/** Serves them to everybody, since the sign-in needs them. @returns their addresses */
export function serveAssets(app: FastifyInstance): AssetUrls {
  const contents: Record<AssetName, Buffer> = {
    css: own('ops.css'),
    js: own('ops.js'),
    icon: own('icon.svg'),
    htmx: readFileSync(createRequire(import.meta.url).resolve('htmx.org/dist/htmx.min.js')),
  };
  const urls = {} as Record<AssetName, string>;
  for (const [name, content] of Object.entries(contents) as [AssetName, Buffer][]) {
    const hash = createHash('sha256').update(content).digest('base64url').slice(0, 12);
    const path = `/assets/${name}-${hash}`;
    urls[name] = `/ops${path}`;
    app.get(path, async (_request, reply) => reply.type(types[name]).send(content));
  }
  return urls;
}
