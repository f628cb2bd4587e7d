// A test of types: `tsc` is its runner.

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Compiles only where `value` has exactly the type `Expected`. */
export function expectType<Expected>() {
  return <Actual>(value: Actual, _isSame: Same<Actual, Expected>): Actual => value;
}
