// `npm run bench`: Postbell and what teams pick instead, side by side on this machine, in one session.
import { describeMachine } from './machine/describe.ts';
import { installMissing, installPackages, isInstalled } from './machine/tools.ts';
import { measureAccept } from './measure/accept.ts';
import { measureBurst } from './measure/burst.ts';
import { measureFlood } from './measure/flood.ts';
import { measureFloor } from './measure/floor.ts';
import { measureFootprint } from './measure/footprint.ts';
import { measureGenerator } from './measure/generator.ts';
import { measureGrowth } from './measure/growth.ts';
import { measureLatency } from './measure/latency.ts';
import { measureProcess } from './measure/process.ts';
import { type Measure, type Options, parseOptions, usage } from './options.ts';
import { resultsFile, writeHowFast } from './report/how-fast.ts';
import { brokenPromises, noResults, type Results } from './report/results.ts';
import { writeResults } from './report/write.ts';
import { withSession } from './session.ts';
import { systems as allSystems } from './systems/index.ts';
import { postbell } from './systems/postbell.ts';
import type { Session, System } from './systems/system.ts';
import { verifyOnly } from './systems/verify-only.ts';

/** Whatever hangs: everything that was started ends with us. */
const longestMinutes = 40;
/** No further round is begun later than this; the other measures still need their time. */
const roundsEndMinutes = 7;

const startedAt = performance.now();
const minutes = () => (performance.now() - startedAt) / 60_000;
const say = (text: string) => void process.stdout.write(`${text}\n`);

async function main(options: Options): Promise<void> {
  const results = noResults(options);
  if (!options.isQuick) installMissing(['wrk', 'redis-server'], say);
  const systems = chooseSystems(options, results);
  if (systems.some((system) => system.needsPackages)) installPackages(say);

  await withSession({ ...options, systems, watches: false, say }, async (session) => {
    results.machine = await describeMachine(session.cluster);
    say('the load generator');
    results.generator = await measureGenerator(session, options.isQuick ? 1 : 3);
    await measureRounds(session, systems, options, results);
    await measureOnce(session, systems, options, results);
  });
  if (has(options, 'latency') || has(options, 'flood')) {
    await withSession({ ...options, systems, watches: true, say }, (session) =>
      measureWatched(session, systems, options, results),
    );
  }
  results.minutes = minutes();
  if (options.out) {
    const files = writeResults(options.out, results, systems);
    if (files.includes(resultsFile)) files.push(writeHowFast());
    for (const file of files) say(`written: ${file}`);
  }
  say(`done in ${results.minutes.toFixed(1)} minutes`);
  const broken = brokenPromises(results);
  if (broken.length) throw new Error(`Postbell broke its promise: ${broken.join('; ')}`);
}

const has = ({ measures }: Options, measure: Measure) => measures.includes(measure);

function chooseSystems(options: Options, results: Results): System[] {
  const unknown = options.systems?.filter((name) => !allSystems.some((system) => system.name === name));
  if (unknown?.length) throw new Error(`--systems: there is no ${unknown.join(', ')}\n\n${usage}`);
  return allSystems.filter((system) => {
    if (system !== postbell && options.systems && !options.systems.includes(system.name)) return false;
    if (!system.needsRedis || isInstalled('redis-server')) return true;
    results.notes.push(`${system.title}: left out, there is no redis-server here`);
    say(results.notes.at(-1)!);
    return false;
  });
}

/** Interleaved: every round runs every system, so that a slower quarter of an hour hits all of them. */
async function measureRounds(session: Session, systems: System[], options: Options, results: Results) {
  const burst = { ...options, connections: usualConnections(options) };
  if (!has(options, 'accept') && !has(options, 'process') && !has(options, 'burst')) return;
  for (let round = 1; round <= options.repeat; round++) {
    if (round > 1 && minutes() > roundsEndMinutes) {
      results.notes.push(`only ${round - 1} of ${options.repeat} rounds: the time was up`);
      return;
    }
    say(`round ${round} of ${options.repeat}: ${has(options, 'accept') ? 'accepting' : ''}`);
    for (const system of systems) {
      if (has(options, 'accept')) results.accept.push(...(await measureAccept(session, system, options)));
    }
    if (has(options, 'process')) say(`round ${round} of ${options.repeat}: processing`);
    for (const system of systems) {
      for (const variant of has(options, 'process') ? system.workers : []) {
        const events = options.queueEvents;
        results.process.push(await measureProcess(session, system, variant, { ...options, events }));
      }
    }
    if (has(options, 'burst')) say(`round ${round} of ${options.repeat}: a burst`);
    for (const system of systems) {
      for (const variant of has(options, 'burst') ? system.workers : []) {
        results.burst.push(await measureBurst(session, system, variant, burst));
      }
    }
    results.rounds = round;
  }
}

/** Of the measures that look at one number of connections only. */
const usualConnections = ({ connections }: Options) => (connections.includes(256) ? 256 : connections[0]!);

async function measureOnce(session: Session, systems: System[], options: Options, results: Results) {
  if (has(options, 'footprint')) {
    say('start and memory');
    for (const system of systems) results.footprint.push(...(await measureFootprint(session, system)));
  }
  if (has(options, 'floor')) {
    say('the floor');
    results.floor = await measureFloor(session, postbell, options);
  }
  if (has(options, 'growth')) {
    say('full tables');
    results.growth = await measureGrowth(session, postbell, {
      ...options,
      ...options.growth,
      connections: usualConnections(options),
    });
  }
}

/** On a Postgres that keeps the times of commits and counts statements, which costs it a little. */
async function measureWatched(session: Session, systems: System[], options: Options, results: Results) {
  if (has(options, 'latency')) {
    say('latency at 200/s');
    for (const system of systems) {
      const variant = system.workers[0];
      if (variant) results.latency.push(await measureLatency(session, system, variant, options));
    }
  }
  if (has(options, 'flood')) {
    say('a flood of forgeries');
    for (const system of [postbell, verifyOnly]) {
      if (systems.includes(system)) results.flood.push(await measureFlood(session, system, options));
    }
  }
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options) {
    setTimeout(() => {
      say(`not done after ${longestMinutes} minutes: ending`);
      process.exit(1);
    }, longestMinutes * 60_000).unref();
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1));
    await main(options);
    process.exit(0);
  }
  say(usage);
} catch (error) {
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exit(1);
}
