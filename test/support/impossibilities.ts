// The only reasons for which a fault or a bad input may be left out, in one place: which, and what the machine lacks.
// "Not run" for any other reason fails the run.

export const impossibilities = {
  F23: 'PgBouncer is not installed (apt-get install pgbouncer)',
  F38: 'a small disk cannot be mounted here',
  F43: 'libfaketime is not installed (apt-get install faketime)',
  B83: 'the registry does not answer npm audit',
} as const;

export type ImpossibleId = keyof typeof impossibilities;

/** Thrown where the machine at hand cannot have the fault or the bad input. Counted apart, never as held or passed. */
export class NotRun extends Error {
  readonly id: ImpossibleId;
  /** @param detail what else is known, e.g. the error of the attempt */
  constructor(id: ImpossibleId, detail?: string) {
    super(detail === undefined ? impossibilities[id] : `${impossibilities[id]}: ${detail}`);
    this.id = id;
  }
}

/** Whether `id` was not run for the reason that the list gives for it. */
export function isNamedImpossibility(id: string, reason: string | undefined): boolean {
  return (
    Object.hasOwn(impossibilities, id) && (reason?.startsWith(impossibilities[id as ImpossibleId]) ?? false)
  );
}
