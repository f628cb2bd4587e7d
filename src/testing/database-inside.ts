// A database whose only transaction is a part of another one, which is rolled back later: an attempt runs in it unchanged.
import {
  AtCommitError,
  type Database,
  type Queryable,
  type Statement,
  type Transaction,
} from '../database/database.ts';

/** @param tx an open transaction of `database` */
export function databaseInside(tx: Transaction, database: Database): Database {
  return {
    ...database,
    query: (statement, values) => tx.query(statement, values),
    transaction: async (work) => {
      const last: Statement[] = [];
      const result = await work({
        begun: tx.begun,
        query: (statement, values) => tx.query(statement, values),
        atCommit: (statement) => void last.push(statement),
        savepoint: (name) => tx.savepoint(name),
        rollBackTo: (name) => tx.rollBackTo(name),
        abandon: (reason) => tx.abandon(reason),
      });
      await doAsCommit(tx, last);
      return result;
    },
  };
}

/** All that COMMIT would do, but for the commit. */
async function doAsCommit(tx: Queryable, last: readonly Statement[]): Promise<void> {
  for (const statement of last) {
    await tx.query(statement).catch((error: unknown) => {
      throw new AtCommitError(error);
    });
  }
  // Constraints that are deferred to COMMIT fail here.
  await tx.query('SET CONSTRAINTS ALL IMMEDIATE');
}
