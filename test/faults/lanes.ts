// Runs tasks side by side, a few at a time, in their order.
export async function inLanes<T>(
  lanes: number,
  tasks: readonly T[],
  run: (task: T) => Promise<void>,
): Promise<void> {
  const left = [...tasks];
  const lane = async () => {
    for (let task = left.shift(); task !== undefined; task = left.shift()) await run(task);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
