// The table of verbs. A new verb is one entry here and one file beside this one.
import { Command, CommanderError } from 'commander';
import { parseTime } from '../events/parse-filter.ts';
import { readOwnManifest } from '../runtime/own-manifest.ts';
import type { CommandIo } from '../terminal/io.ts';
import type { AlertsOptions } from './alerts.ts';
import type { CaptureOptions } from './capture.ts';
import type { DevOptions } from './dev.ts';
import type { DoctorOptions } from './doctor.ts';
import type { EraseOptions } from './erase.ts';
import type { EventsOptions } from './events.ts';
import { filterFlags } from './filter-flags.ts';
import type { ForwardOptions } from './forward.ts';
import type { InitOptions } from './init.ts';
import type { KeysOptions } from './keys.ts';
import type { PauseOptions, ResumeOptions } from './pause.ts';
import type { QuarantineOptions } from './quarantine.ts';
import type { RecoverOptions } from './recover.ts';
import type { RehearseOptions } from './rehearse.ts';
import type { ReplayOptions } from './replay.ts';
import type { SendOptions } from './send.ts';
import type { SetupOptions } from './setup.ts';
import type { ShowOptions } from './show.ts';
import { addVerb, type Verb, wholeNumber } from './verb.ts';

const init: Verb<InitOptions> = {
  name: 'init',
  summary:
    "put Postbell into this folder: an example handler, scripts, the platforms' files; overwrite nothing",
  examples: ['postbell init', 'postbell init --yes --providers stripe,shopify --platform render'],
  flags: [
    ['--providers <names>', 'the providers, with commas between them'],
    ['--platform <name>', 'heroku, render, docker or all'],
    ['--language <name>', 'typescript or javascript'],
    ['-y, --yes', 'ask nothing; take the defaults (stripe, all, and the language of the project)'],
    ['--dry-run', 'print the files, and write nothing'],
  ],
  usesDatabase: false,
  run: async (io, options) => (await import('./init.ts')).runInit(io, options),
};

const web: Verb = {
  name: 'web',
  summary: 'receive: verify, store and enqueue deliveries',
  examples: ['postbell web'],
  run: async ({ env }, options) => (await import('./web.ts')).runWeb(env, options),
};

const worker: Verb = {
  name: 'worker',
  summary: 'run the handlers',
  examples: ['postbell worker'],
  run: async ({ env }, options) => (await import('./worker.ts')).runWorker(env, options),
};

const ops: Verb = {
  name: 'ops',
  summary: "serve the operators' page alone, at PORT; web serves it too, unless OPS_IN_WEB=off",
  examples: ['postbell ops'],
  run: async ({ env }, options) => (await import('./ops.ts')).runOps(env, options),
};

const start: Verb = {
  name: 'start',
  summary: 'web and worker as one command, for one small machine',
  examples: ['postbell start'],
  run: async (io) => (await import('./start.ts')).runStart(io),
};

const dev: Verb<DevOptions> = {
  name: 'dev',
  summary: 'run web and worker with an embedded Postgres, and reload the handlers',
  examples: ['postbell dev'],
  flags: [['-y, --yes', 'do not ask before the database of DATABASE_URL is migrated']],
  run: async (io, options) => (await import('./dev.ts')).runDev(io, options),
};

const demo: Verb = {
  name: 'demo',
  summary: "play a shop's day of webhooks and compare the result with the expected one",
  examples: ['postbell demo'],
  run: async ({ env, out }, options) => (await import('./demo.ts')).runDemo(env, { ...options, output: out }),
};

const migrate: Verb = {
  name: 'migrate',
  summary: 'update the database to the schema that this version needs',
  examples: ['postbell migrate'],
  run: async (io, options) => (await import('./migrate.ts')).runMigrateVerb(io, options),
};

const status: Verb = {
  name: 'status',
  summary: 'count the events by source and status, and name sources that need a look',
  examples: ['postbell status'],
  findsRunningDev: true,
  run: async (io, options) => (await import('./status.ts')).runStatus(io, options),
};

const alerts: Verb<AlertsOptions> = {
  name: 'alerts',
  summary: 'list what needs a person; acknowledge it; test ALERT_URL',
  examples: [
    'postbell alerts',
    'postbell alerts ack --kind dead_letters --source stripe',
    'postbell alerts test',
  ],
  arguments: [
    ['[action]', 'list (default), ack: no reminder until it is resolved, test: send a test to ALERT_URL'],
  ],
  flags: [
    ['--kind <kind>', 'with ack: only this kind, e.g. dead_letters'],
    ['--source <name>', 'with ack: only this source'],
    ['--by <name>', 'with ack: who acknowledges (default: the user of this machine)'],
  ],
  run: async (io, options, [action]) => (await import('./alerts.ts')).runAlerts(io, action, options),
};

const events: Verb<EventsOptions> = {
  name: 'events',
  summary: 'list events, newest first',
  examples: ["postbell events --status FAILED --since 2h --topic 'invoice.*'"],
  flags: [
    ...filterFlags(),
    ['--limit <n>', 'show at most n events, up to 100,000', wholeNumber(1, 100_000), 50],
  ],
  findsRunningDev: true,
  run: async (io, options) => (await import('./events.ts')).runEvents(io, options),
};

const show: Verb<ShowOptions> = {
  name: 'show',
  summary: 'show one event: payload, headers, failed attempts',
  examples: ['postbell show evt_1NG8Du2eZvKYlo2C'],
  arguments: [['<id>', 'the event id']],
  flags: [['--source <name>', 'needed if several sources have this id']],
  findsRunningDev: true,
  run: async (io, options, [id = '']) => (await import('./show.ts')).runShow(io, id, options),
};

const replay: Verb<ReplayOptions> = {
  name: 'replay',
  summary: 'run events again: one by its id, or all that match a filter (default: FAILED)',
  examples: [
    'postbell replay evt_1NG8Du2eZvKYlo2C',
    'postbell replay --source stripe --error ECONNREFUSED --since 1d --yes',
    'postbell replay --now --source stripe',
  ],
  arguments: [['[id]', 'the event id']],
  flags: [
    ...filterFlags(['FAILED', 'IGNORED', 'PROCESSED']),
    ['--now', 'run PENDING events at once that wait for a retry or a Later (without --status)'],
    ['-y, --yes', 'do not ask'],
  ],
  findsRunningDev: true,
  run: async (io, options, [id]) => (await import('./replay.ts')).runReplay(io, id, options),
};

const erase: Verb<EraseOptions> = {
  name: 'erase',
  summary: 'remove the bodies of the events with a value in their payload; keep their ids',
  examples: [
    'postbell erase data.object.customer cus_1',
    "printf %s ada@example.com | postbell erase 'customers.*.email' - --source shopify --yes",
  ],
  arguments: [
    ['<path>', "keys with dots between them; '*' stands for each item of a list, and for any key"],
    ['<value>', "the value, exactly; '-' for standard input, where no other user can see it"],
  ],
  flags: [
    ['--source <name>', 'only events of this source'],
    ['--since <time>', 'received since: 90s, 15m, 2h, 7d ago, or an ISO time (UTC)', parseTime],
    ['--until <time>', 'received before: as --since', parseTime],
    ['--force', 'also PENDING events: their handlers never run'],
    ['-y, --yes', 'do not ask'],
  ],
  findsRunningDev: true,
  run: async (io, options, [path = '', value = '']) =>
    (await import('./erase.ts')).runErase(io, path, value, options),
};

const scopeFlags = [
  ['--topic <topic>', "only this topic of the source; a prefix may end in '*'"],
  ['--handler <name>', 'only events for the handler of this name'],
] as const;

const pause: Verb<PauseOptions> = {
  name: 'pause',
  summary: 'receive and keep events, but do not run them; without arguments: list the pauses',
  examples: [
    "postbell pause shopify --topic 'orders/*' --reason 'the warehouse is down'",
    'postbell pause --handler charge-orders',
    'postbell pause',
  ],
  arguments: [['[source]', 'e.g. shopify']],
  flags: [...scopeFlags, ['--reason <text>', 'why, for your colleagues']],
  findsRunningDev: true,
  run: async (io, options, [source]) => (await import('./pause.ts')).runPause(io, source, options),
};

const resume: Verb<ResumeOptions> = {
  name: 'resume',
  summary: 'end a pause: the events that waited run',
  examples: ["postbell resume shopify --topic 'orders/*'", 'postbell resume --all'],
  arguments: [['[source]', 'as in the pause']],
  flags: [...scopeFlags, ['--all', 'end every pause']],
  findsRunningDev: true,
  run: async (io, options, [source]) => (await import('./pause.ts')).runResume(io, source, options),
};

const capture: Verb<CaptureOptions> = {
  name: 'capture',
  summary:
    'for some minutes keep and show the requests of a source, also rejected ones; without a source: list',
  examples: ['postbell capture stripe --minutes 30 --follow', 'postbell capture stripe --stop'],
  arguments: [['[source]', 'e.g. stripe']],
  flags: [
    ['--minutes <n>', 'how long, 1 to 120 (default: 30)', wholeNumber(1, 120)],
    ['--follow', 'print each request as it arrives; Ctrl-C ends the printing, not the capture'],
    ['--stop', 'end the capture'],
  ],
  findsRunningDev: true,
  run: async (io, options, [source]) => (await import('./capture.ts')).runCapture(io, source, options),
};

const rehearse: Verb<RehearseOptions> = {
  name: 'rehearse',
  summary: "run an event's handlers, show what they change, and roll back",
  examples: ['postbell rehearse evt_1NG8Du2eZvKYlo2C'],
  arguments: [['<id>', 'the event id']],
  flags: [
    ['--source <name>', 'needed if several sources have this id'],
    ['-y, --yes', 'do not ask: calls of the handlers to the outside happen'],
  ],
  findsRunningDev: true,
  run: async (io, options, [id = '']) => (await import('./rehearse.ts')).runRehearse(io, id, options),
};

const recover: Verb<RecoverOptions> = {
  name: 'recover',
  summary: "ask the provider's API for events that no webhook brought",
  examples: ['postbell recover stripe', 'postbell recover github --since 3d --dry-run'],
  arguments: [['<source>', 'a source with <SOURCE>_API_KEY']],
  flags: [
    [
      '--since <time>',
      'an age such as 3d, or a time (default: where the last run ended; at first 3d)',
      parseTime,
    ],
    ['--dry-run', 'only count what is missing'],
  ],
  findsRunningDev: true,
  run: async (io, options, [source = '']) => (await import('./recover.ts')).runRecover(io, source, options),
};

const quarantine: Verb<QuarantineOptions> = {
  name: 'quarantine',
  summary: 'list rejected requests that are kept; promote them once the secret is right; delete them',
  examples: [
    'postbell quarantine',
    'postbell quarantine promote stripe --dry-run',
    'postbell quarantine delete stripe --yes',
  ],
  arguments: [
    ['[action]', 'list (default), promote: verify again and take in what is right, delete'],
    ['[source]', 'a source with <SOURCE>_QUARANTINE_MB'],
  ],
  flags: [
    ['--dry-run', 'with promote: only count'],
    ['-y, --yes', 'do not ask'],
  ],
  findsRunningDev: true,
  run: async (io, options, [action, source]) =>
    (await import('./quarantine.ts')).runQuarantine(io, action, source, options),
};

const send: Verb<SendOptions> = {
  name: 'send',
  summary: 'send a correctly signed delivery, as the provider would',
  examples: [
    'postbell send stripe payment_intent.succeeded',
    'postbell send stripe invoice.paid --data invoice.json --url https://staging.example.com',
    `postbell send stripe invoice.paid --data '{"id":"evt_1","type":"invoice.paid"}'`,
  ],
  arguments: [
    ['<source>', 'a source that is on'],
    ['<topic>', 'e.g. invoice.paid'],
  ],
  flags: [
    [
      '--data <body>',
      "the body: a file, inline JSON, or '-' for standard input (default: a sample of the topic)",
    ],
    ['--id <id>', 'event id, for samples and for providers that send the id in a header; for one event'],
    ['--url <url>', 'server or endpoint (default: http://127.0.0.1:$PORT)'],
    ['--count <n>', 'number of different events', wholeNumber(1, 1_000_000), 1],
    ['--repeat <n>', 'further deliveries of each event', wholeNumber(0, 1_000), 0],
    ['--private-key <file>', 'PEM, for providers that sign with a key pair'],
  ],
  usesDatabase: false,
  findsRunningDev: true,
  run: async (io, options, [source = '', topic = '']) =>
    (await import('./send.ts')).runSend(io, source, topic, options),
};

const forward: Verb<ForwardOptions> = {
  name: 'forward',
  summary: 'send the new events of a database on to an app on this machine, signed with its secret',
  examples: ['postbell forward stripe http://localhost:3000/webhooks/stripe'],
  arguments: [
    ['<source>', 'a source that is on here and in the database'],
    ['<url>', 'the endpoint of the app'],
  ],
  flags: [['--private-key <file>', 'PEM, for providers that sign with a key pair']],
  findsRunningDev: true,
  run: async (io, options, [source = '', url = '']) =>
    (await import('./forward.ts')).runForward(io, source, url, options),
};

const doctor: Verb<DoctorOptions> = {
  name: 'doctor',
  summary: 'check configuration, database, queue and inbox; name causes and remedies',
  examples: ['postbell doctor', 'postbell doctor stripe', 'postbell doctor --strict'],
  arguments: [['[source]', 'check this source, and list its rejected requests one by one']],
  flags: [
    ['--strict', 'end with 1 also for warnings that need a person: dead letters, no worker, no web, …'],
  ],
  findsRunningDev: true,
  run: async (io, options, [source]) => (await import('./doctor.ts')).runDoctor(io, source, options),
};

const setup: Verb<SetupOptions> = {
  name: 'setup',
  summary: 'wait for a provider that sends its secret on first contact, and print the secret',
  examples: ['postbell setup notion --minutes 10'],
  arguments: [['<source>', 'e.g. notion, asana']],
  flags: [['--minutes <n>', 'how long to wait', wholeNumber(1, 120), 10]],
  findsRunningDev: true,
  run: async (io, options, [source = '']) => (await import('./setup.ts')).runSetup(io, source, options),
};

const providers: Verb = {
  name: 'providers',
  summary: 'list all providers: scheme, handshake, where the secret is',
  examples: ['postbell providers stripe'],
  arguments: [['[provider]', 'all facts about this one, with its sample topics']],
  usesDatabase: false,
  run: async (io, options, [name]) => (await import('./providers.ts')).runProviders(io, name, options),
};

const keys: Verb<KeysOptions> = {
  name: 'keys',
  summary: 'make a secret or a key pair for trials',
  examples: ['postbell keys stripe >> .env'],
  arguments: [['<provider>', 'e.g. stripe']],
  flags: [
    ['--source <name>', "name of the source (default: the provider's name)"],
    ['--private-key <file>', 'file for the private key of a key pair'],
  ],
  usesDatabase: false,
  run: async (io, options, [name = '']) => (await import('./keys.ts')).runKeys(io, name, options),
};

/** In the order of `postbell --help`. */
const verbs: readonly Verb[] = [
  ...[init, web, worker, ops, start, dev, demo, migrate],
  ...[
    status,
    alerts,
    events,
    show,
    replay,
    recover,
    quarantine,
    rehearse,
    pause,
    resume,
    capture,
    erase,
    send,
    forward,
  ],
  ...[doctor, setup, providers, keys],
];

const usageExitCode = 2;

/**
 * Runs one command line. @returns its exit code; undefined where the process keeps running (web, worker, start)
 * @throws the verb's error
 */
export async function runProgram(args: readonly string[], io: CommandIo): Promise<number | undefined> {
  let outcome: number | undefined;
  const program = createProgram(io);
  for (const verb of verbs) {
    addVerb(program, verb, io, (exitCode) => {
      outcome = exitCode;
    });
  }
  try {
    await program.parseAsync(args, { from: 'user' });
    return outcome;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Requested help ends with 0; help because an argument is missing is a usage error.
    return error.exitCode === 0 ? 0 : usageExitCode;
  }
}

function createProgram(io: CommandIo): Command {
  return new Command('postbell')
    .description('A webhook inbox that needs nothing but Postgres.')
    .version(readOwnManifest().version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.out.write(text),
      writeErr: (text) => void io.err.write(text),
      getOutHelpWidth: () => io.out.columns ?? 100,
      getErrHelpWidth: () => io.err.columns ?? 100,
    })
    .showSuggestionAfterError()
    .showHelpAfterError('(--help explains the usage)')
    .addHelpText('after', '\nSettings come from the environment and from .env; .env.example lists all');
}
