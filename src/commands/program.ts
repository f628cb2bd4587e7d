// The verbs: what each takes, what it is for, one example; the verb itself is loaded only when it is run.
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { readRunningDev } from '../dev/dev-folder.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { printLine } from '../terminal/print.ts';
import type { DevOptions } from './dev.ts';
import type { EventsOptions } from './events.ts';
import { addFilterOptions, wholeNumber } from './filter-options.ts';
import type { KeysOptions } from './keys.ts';
import type { ReplayOptions } from './replay.ts';
import type { SendOptions } from './send.ts';
import type { SetupOptions } from './setup.ts';
import type { ShowOptions } from './show.ts';

const usageExitCode = 2;

/**
 * Runs one command line. @returns its exit code, or undefined where the process goes on by itself
 * @throws whatever the verb threw
 */
export async function runProgram(args: readonly string[], io: CommandIo): Promise<number | undefined> {
  let outcome: number | undefined;
  const program = createProgram(io, (exitCode) => {
    outcome = exitCode;
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return outcome;
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    // Help that was asked for is an answer; help because something was missing is a refusal.
    return error.exitCode === 0 ? 0 : usageExitCode;
  }
}

function createProgram(io: CommandIo, finish: (exitCode: number | undefined) => void): Command {
  const program = new Command('postbell')
    .description('A webhook inbox that needs nothing but Postgres.')
    .version(readVersion())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.out.write(text),
      writeErr: (text) => void io.err.write(text),
      getOutHelpWidth: () => io.out.columns ?? 100,
      getErrHelpWidth: () => io.err.columns ?? 100,
    })
    .showSuggestionAfterError()
    .showHelpAfterError('(add --help for how it is used)')
    .addHelpText('after', '\nSettings come from the environment and from .env; all of them: .env.example');

  /** A verb that needs the database accepts its URL, too. */
  const verb = (usage: string, summary: string, examples: readonly string[], needsDatabase = true) => {
    const command = program.command(usage).description(summary);
    command.option('--json', 'for machines: JSON, one document per line');
    if (needsDatabase) {
      command.option(
        '--database-url <url>',
        'instead of DATABASE_URL; every user of this machine sees it in ps',
      );
    }
    return command.addHelpText('after', `\nExample:\n${examples.map((line) => `  $ ${line}`).join('\n')}`);
  };

  /** `O` is what the verb's options, declared above it, make of the command line. */
  const run = <O>(start: (io: CommandIo, options: O, args: string[]) => Promise<unknown>) =>
    async function action(this: Command) {
      const { databaseUrl } = this.opts<{ databaseUrl?: string }>();
      const found = besideDev.has(this.name()) ? withRunningDev(io) : io;
      const exitCode = await start(withDatabaseUrl(found, databaseUrl), this.opts() as O, this.processedArgs);
      finish(typeof exitCode === 'number' ? exitCode : undefined);
    };

  verb('web', 'receive: verify, store and enqueue deliveries', ['postbell web']).action(
    run<CommonOptions>(async ({ env }, options) => (await import('./web.ts')).runWeb(env, options)),
  );
  verb('worker', 'run the handlers', ['postbell worker']).action(
    run<CommonOptions>(async ({ env }, options) => (await import('./worker.ts')).runWorker(env, options)),
  );
  verb('dev', 'web and worker in one, with a Postgres of its own', ['postbell dev'])
    .option('-y, --yes', 'do not ask before the database of DATABASE_URL is migrated')
    .action(run<DevOptions>(async (io, options) => (await import('./dev.ts')).runDev(io, options)));
  verb('demo', "a shop's day of webhooks, played and balanced", ['postbell demo']).action(
    run<CommonOptions>(async ({ env, out }, options) =>
      (await import('./demo.ts')).runDemo(env, { ...options, output: out }),
    ),
  );
  verb('migrate', 'bring the database to the schema this version needs', ['postbell migrate']).action(
    run<CommonOptions>(async (io, options) => (await import('./migrate.ts')).runMigrateVerb(io, options)),
  );
  verb('status', 'how many events are in which status', ['postbell status']).action(
    run<CommonOptions>(async (io, options) => (await import('./status.ts')).runStatus(io, options)),
  );
  addFilterOptions(
    verb('events', 'list events, newest first', [
      "postbell events --status FAILED --since 2h --topic 'invoice.*'",
    ]),
  )
    .option('--limit <n>', 'at most so many', wholeNumber(1, 100_000), 50)
    .action(run<EventsOptions>(async (io, options) => (await import('./events.ts')).runEvents(io, options)));
  verb('show', 'one event whole: payload, headers, failed attempts', ['postbell show evt_1NG8Du2eZvKYlo2C'])
    .argument('<id>', 'the event id')
    .option('--source <name>', 'where several sources have that id')
    .action(
      run<ShowOptions>(async (io, options, [id = '']) =>
        (await import('./show.ts')).runShow(io, id, options),
      ),
    );
  addFilterOptions(
    verb('replay', 'run events again: one by its id, or all that a filter chooses (default: FAILED)', [
      'postbell replay evt_1NG8Du2eZvKYlo2C',
      'postbell replay --source stripe --error ECONNREFUSED --since 1d --yes',
    ]),
    ['FAILED', 'IGNORED', 'PROCESSED'],
  )
    .argument('[id]', 'the event id')
    .option('-y, --yes', 'do not ask')
    .action(
      run<ReplayOptions>(async (io, options, [id]) =>
        (await import('./replay.ts')).runReplay(io, id, options),
      ),
    );
  verb(
    'send',
    'deliver a correctly signed event, as the provider would',
    [
      'postbell send stripe payment_intent.succeeded',
      'postbell send stripe invoice.paid --data invoice.json --url https://staging.example.com',
    ],
    false,
  )
    .argument('<source>', 'a source that is on')
    .argument('<topic>', 'e.g. invoice.paid')
    .option('--data <file>', "the body; '-' reads standard input (default: a sample of the topic)")
    .option('--id <id>', 'event id, for samples and where it travels in a header')
    .option('--url <url>', 'server or endpoint (default: http://127.0.0.1:$PORT)')
    .option('--count <n>', 'so many different events', wholeNumber(1, 1_000_000), 1)
    .option('--repeat <n>', 'deliver each so many times more', wholeNumber(0, 1_000), 0)
    .option('--private-key <file>', 'PEM, for providers that sign with a key pair')
    .action(
      run<SendOptions>(async (io, options, [source = '', topic = '']) =>
        (await import('./send.ts')).runSend(io, source, topic, options),
      ),
    );
  verb('doctor', 'look at everything that can be wrong, and say how to mend it', [
    'postbell doctor',
    'postbell doctor stripe',
  ])
    .argument('[source]', 'look at its refused requests one by one')
    .action(
      run<CommonOptions>(async (io, options, [source]) =>
        (await import('./doctor.ts')).runDoctor(io, source, options),
      ),
    );
  verb('setup', 'wait for the secret of a provider that hands it over on first contact', [
    'postbell setup notion --minutes 10',
  ])
    .argument('<source>', 'e.g. notion, asana')
    .option('--minutes <n>', 'how long to wait', wholeNumber(1, 120), 10)
    .action(
      run<SetupOptions>(async (io, options, [source = '']) =>
        (await import('./setup.ts')).runSetup(io, source, options),
      ),
    );
  verb(
    'providers',
    'all providers: scheme, handshake, where the secret is found',
    ['postbell providers stripe'],
    false,
  )
    .argument('[provider]', 'only this one, with its sample topics')
    .action(
      run<CommonOptions>(async (io, options, [name]) =>
        (await import('./providers.ts')).runProviders(io, name, options),
      ),
    );
  verb('keys', 'make a secret for trials', ['postbell keys stripe >> .env'], false)
    .argument('<provider>')
    .option('--source <name>', 'for a source of that name')
    .option('--private-key <file>', 'where the private half of a key pair goes')
    .action(
      run<KeysOptions>(async (io, options, [name = '']) =>
        (await import('./keys.ts')).runKeys(io, name, options),
      ),
    );
  return program;
}

/** package.json is beside src/ as it is beside dist/. */
function readVersion(): string {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

/** Verbs that a person types beside a running `postbell dev`: they find its secrets, port and database. */
const besideDev: ReadonlySet<string> = new Set([
  'status',
  'events',
  'show',
  'replay',
  'send',
  'doctor',
  'setup',
]);

/** What was set goes before; without a running dev in the folder, nothing changes. */
function withRunningDev(io: CommandIo): CommandIo {
  return { ...io, env: { ...readRunningDev(io.folder), ...io.env } };
}

function withDatabaseUrl(io: CommandIo, databaseUrl: string | undefined): CommandIo {
  if (databaseUrl === undefined) return io;
  printLine(io.err, '--database-url can be seen by every user of this machine (ps); better set DATABASE_URL');
  return { ...io, env: { ...io.env, DATABASE_URL: databaseUrl } };
}
