// What a test must undo at its end, all of it, whatever fails; and what it must not leave open.
import type { Test } from 'tap';

type CleanUp = () => void | Promise<void>;
const cleanUpsOfTests = new WeakMap<Test, CleanUp[]>();
const exitGraceMs = 5_000;

/**
 * Runs `cleanUp` when `t` has ended, in reverse order. One that throws fails `t`, and the others still run; with
 * tap's own `t.teardown` the first failure skips the rest. As with that, a file's root test ends once it has nothing to
 * do: what a file awaits at its top level belongs before its first `t.test`.
 */
export function atEnd(t: Test, cleanUp: CleanUp): void {
  const registered = cleanUpsOfTests.get(t);
  if (registered) {
    registered.push(cleanUp);
    return;
  }
  const cleanUps = [cleanUp];
  cleanUpsOfTests.set(t, cleanUps);
  t.teardown(async () => {
    const errors: unknown[] = [];
    for (let next = cleanUps.pop(); next; next = cleanUps.pop()) {
      try {
        await next();
      } catch (error) {
        errors.push(error);
      }
    }
    if (!t.parent) failIfStillOpen();
    if (errors.length === 1) throw errors[0];
    if (errors.length) throw new AggregateError(errors, errors.map((error) => String(error)).join('\n'));
  });
}

// The timer does not keep the process alive: it fires only when a pool, server, worker or timer does.
function failIfStillOpen(): void {
  setTimeout(() => {
    const open = process.getActiveResourcesInfo().filter((name) => !/^(PipeWrap|TTYWrap)$/.test(name));
    process.stderr.write(`the tests are over, but these are still open: ${open.join(', ')}\n`);
    process.exit(1);
  }, exitGraceMs).unref();
}
