// src/handlers/known-topics.ts, made from the registry: the names that an editor completes in defineHandler.
// `npx node test/known-topics.ts` writes it; test/handlers/known-topics.test.ts checks that it is current.
import { writeFileSync } from 'node:fs';
import { type Provider, providers } from '../src/providers/index.ts';

export const knownTopicsFile = new URL('../src/handlers/known-topics.ts', import.meta.url);

export function knownTopicsText(): string {
  const all = Object.values<Provider>(providers).sort((a, b) => (a.name < b.name ? -1 : 1));
  const lines = all.map(({ name, samples }) => {
    const topics = Object.keys(samples).filter((topic) => topic !== '*');
    return `  ${quoted(name)}: ${topics.map(quoted).join(' | ') || 'never'};`;
  });
  return [
    '// Generated from the providers by `npx node test/known-topics.ts`: what an editor completes in defineHandler.',
    '',
    '/** By provider, topics that it is known to send. There are more: none of these lists is complete. */',
    'export interface KnownTopics {',
    ...lines,
    '}',
    '',
  ].join('\n');
}

const quoted = (text: string) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

if (import.meta.main) writeFileSync(knownTopicsFile, knownTopicsText());
