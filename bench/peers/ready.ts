// Tells the benchmark that a worker has begun, and ends it when asked.
export function ready(stop: () => Promise<unknown>): void {
  process.stdout.write('{"msg":"ready"}\n');
  process.once('SIGTERM', async () => {
    await stop();
    process.exit(0);
  });
}
