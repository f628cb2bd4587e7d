// Keeps the heap small under load: the first thing that cli.ts imports, so that every way of starting has it.
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

// V8 takes memory for speed: under 10,000 deliveries a second, 35 MB of live objects had 250 MB. What of an event is
// promoted is dead soon after, and stays until the old generation is collected. A dyno has 512 MB for all of its processes.

/** So much, over what was live at its last collection, the old generation may grow before the next; V8 allows up to 300. */
const growthPercent = 100;

/** Of both halves of the young generation together; V8 allows 64 MB. */
const youngBytes = 32 * 1_048_576;

const lookEveryMs = 5;

setFlagsFromString(`--heap-growing-percent=${growthPercent}`);

// Its own bound, `--max-semi-space-size`, V8 reads before any of our code runs. The factor by which the young generation
// grows is read at each growth, and 1 makes it stay. Not at once: one of 1 MB would be collected all the time.
const looking = setInterval(() => {
  const young = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
  if (young && young.space_size < youngBytes) return;
  setFlagsFromString('--semi-space-growth-factor=1');
  clearInterval(looking);
}, lookEveryMs).unref();
