// The common expectation of everything that is not believed: one answer, no row, no statement.
import type { Test } from 'tap';
import type { SignedRequest } from './senders.ts';
import type { Stage } from './stage.ts';

/** 401 with the one body, and nothing of it reaches the database. */
export async function refused(t: Test, stage: Stage, request: SignedRequest, title: string): Promise<void> {
  let status = 0;
  const statements = await stage.statementsOf(async () => {
    ({ status } = await stage.send(request));
  });
  t.equal(status, 401, title);
  t.same(statements, [], `${title}: no SQL`);
  t.equal(await stage.rowOf(request.body), undefined, `${title}: no row`);
}
