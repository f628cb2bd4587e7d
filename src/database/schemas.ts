// The schemas of Postbell's own tables and of the queue. Our statements name the schemas by placeholders, which are filled in
// here, so that the search_path of the team's sessions plays no part.
import { defaultSchemas } from '../config.ts';

/** Names of schemas in Postgres, of lower-case letters, digits and underscores. */
export interface Schemas {
  /** As POSTBELL_SCHEMA. */
  inbox: string;
  /** As POSTBELL_QUEUE_SCHEMA. */
  queue: string;
}

const isDefault = ({ inbox }: Schemas) => inbox === defaultSchemas.inbox;

/** Shown in pg_stat_activity, e.g. `postbell web`; with another schema than the default, `postbell web inbox`. */
export function applicationNameIn(schemas: Schemas, name: string): string {
  return isDefault(schemas) ? name : `${name} ${schemas.inbox}`;
}

/** More texts than our statements have: a bound in case that a text varies. */
const maxTexts = 1_000;

/**
 * Makes the function that fills in a text's placeholders, once per text. A hot statement's text should be a constant of its
 * module: the look-up takes 20 ns then, and 1 µs for a text that is put together anew.
 *
 * | placeholder | filled in |
 * |---|---|
 * | `{inbox}` | the quoted schema of Postbell's tables: `{inbox}.webhook_events` |
 * | `{queue}` | the quoted schema of pg-boss: `{queue}.job` |
 * | `{postbell}` | begins the names of locks and channels, which all Postbells of one database share: `postbell`, or `postbell_<schema>` |
 */
export function createFillIn(schemas: Schemas): (text: string) => string {
  const values: Record<string, string> = {
    '{inbox}': `"${schemas.inbox}"`,
    '{queue}': `"${schemas.queue}"`,
    // The trigger of sql/007 makes the same name.
    '{postbell}': isDefault(schemas) ? 'postbell' : `postbell_${schemas.inbox}`,
  };
  const filled = new Map<string, string>();
  return (text) => {
    const known = filled.get(text);
    if (known !== undefined) return known;
    const result = text.replaceAll(/\{(?:inbox|queue|postbell)\}/g, (name) => values[name]!);
    if (filled.size < maxTexts) filled.set(text, result);
    return result;
  };
}
