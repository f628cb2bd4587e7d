// The parts of a request that verifying needs, for a request that is stored before it could be verified.
import type { Scheme } from '../provider.ts';
import type { Template } from '../template/parts.ts';

type Needs = Pick<Scheme, 'readsHeaders' | 'readsQuery' | 'acceptsBearer' | 'provesInBody'>;

/** What a scheme made of several schemes needs. */
export function needsOf(schemes: readonly Scheme[]): Needs {
  return {
    readsHeaders: [...new Set(schemes.flatMap(({ readsHeaders }) => readsHeaders ?? []))],
    ...(schemes.some(({ readsQuery }) => readsQuery) ? { readsQuery: true } : {}),
    ...(schemes.some(({ acceptsBearer }) => acceptsBearer) ? { acceptsBearer: true } : {}),
    ...(schemes.some(provesInBody) ? { provesInBody: true } : {}),
  };
}

/** True where the proof of some requests stands in their body. */
export function provesInBody(scheme: Scheme): boolean {
  return scheme.provesInBody ?? (scheme.proofHeaders.length === 0 && scheme.proofParams.length === 0);
}

/** What the templates read. Computed parts hide it. */
export function needsOfTemplates(...templates: readonly (Template | undefined)[]): Needs {
  return {
    readsHeaders: templates.flatMap((template) => namesIn(template, 'header')),
    ...(templates.some((template) => namesIn(template, 'query').length > 0) ? { readsQuery: true } : {}),
  };
}

/** Names of the parts of this kind. */
export function namesIn(template: Template | undefined, kind: 'header' | 'query'): string[] {
  if (template === undefined || typeof template === 'string') return [];
  if (Array.isArray(template)) return template.flatMap((part: Template) => namesIn(part, kind));
  if (!('kind' in template)) return [];
  if (template.kind === 'optional') return namesIn(template.parts, kind);
  if (template.kind === 'firstOf') return template.choices.flatMap((choice) => namesIn(choice, kind));
  return template.kind === kind && 'name' in template ? [template.name] : [];
}
