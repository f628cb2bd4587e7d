// The result of a statement. Apart from database.ts, which names pg's types: the package's own types must not, because a
// team has no @types/pg.
export type Row = Record<string, unknown>;

export interface QueryResult<R> {
  rows: R[];
  rowCount: number | null;
  command: string;
}
