// `postbell alerts`: shows the open alerts, acknowledges them, and sends a test.
import { alertKinds } from '../alerts/rules.ts';
import { sendMessages } from '../alerts/send.ts';
import { alertTargetOf } from '../alerts/settings.ts';
import { findUnwatched, historyDays, type UnwatchedSource } from '../alerts/silence.ts';
import { CommandError } from '../errors.ts';
import { describeAlert } from '../events/alert-texts.ts';
import {
  acknowledgeAlerts,
  addMessage,
  deleteUnsentTests,
  listOpenAlerts,
  readMessage,
  reportedAlert,
} from '../events/alerts.ts';
import { readHourlyArrivals } from '../events/signals.ts';
import { didYouMean } from '../providers/did-you-mean.ts';
import { parseSources } from '../providers/sources.ts';
import { type CommandDatabase, withDatabase } from '../runtime/with-database.ts';
import { actingUser } from '../terminal/acting-user.ts';
import type { CommandIo, CommonOptions } from '../terminal/io.ts';
import { countText, printJson, printLine, printTable, timeText } from '../terminal/print.ts';

export interface AlertsOptions extends CommonOptions {
  /** With `ack`: only alerts of this source. */
  source?: string;
  /** With `ack`: only alerts of this kind. */
  kind?: string;
  /** With `ack`: who acknowledges. Default: the user of this machine. */
  by?: string;
}

const actions = ['list', 'ack', 'test'] as const;

/** @returns 0; 1 where a test did not arrive, or nothing was acknowledged */
export async function runAlerts(
  io: CommandIo,
  action: string | undefined,
  options: AlertsOptions,
): Promise<number> {
  const { kind } = options;
  if (kind !== undefined && !(alertKinds as readonly string[]).includes(kind))
    throw new CommandError(`there is no kind of alert ${kind}${didYouMean(kind, alertKinds)}`);
  switch (action ?? 'list') {
    case 'list':
      return withDatabase(io.env, 'alerts', (parts) => list(io, options, parts));
    case 'ack':
      return withDatabase(io.env, 'alerts', (parts) => acknowledge(io, options, parts));
    case 'test':
      return withDatabase(io.env, 'alerts', (parts) => sendTest(io, options, parts));
    default:
      throw new CommandError(
        `there is no action ${action}${didYouMean(action ?? '', actions)}: use list, ack or test`,
      );
  }
}

async function list(
  { out, env }: CommandIo,
  { json }: AlertsOptions,
  { database, config }: CommandDatabase,
): Promise<number> {
  const alerts = await listOpenAlerts(database);
  const isReported = config.ALERT_URL !== undefined;
  const { sources } = parseSources(env);
  const notWatchedForSilence = findUnwatched(
    await readHourlyArrivals(database, historyDays),
    sources.keys(),
    new Date(),
  );
  if (json) {
    printJson(out, {
      isReported,
      notWatchedForSilence,
      alerts: alerts.map((alert) => ({ ...alert, text: describeAlert(reportedAlert(alert)).sentence })),
    });
    return 0;
  }
  if (alerts.length === 0) printLine(out, 'no alert is open');
  else
    printTable(out, alerts, [
      { title: 'KIND', value: ({ kind }) => kind },
      { title: 'SINCE', value: ({ beganAt }) => timeText(beganAt) },
      { title: 'ACKNOWLEDGED', value: ({ acknowledgedBy }) => acknowledgedBy ?? '-' },
      { title: 'ALERT', value: (alert) => describeAlert(reportedAlert(alert)).sentence },
    ]);
  if (!isReported) printLine(out, '\nno alert is sent: set ALERT_URL for web and worker');
  if (notWatchedForSilence.length > 0)
    printLine(out, `\nnot watched for silence: ${notWatchedForSilence.map(unwatchedText).join(', ')}`);
  return 0;
}

function unwatchedText(unwatched: UnwatchedSource): string {
  const { source, reason } = unwatched;
  if (reason === 'new') return `${source} (new, until ${timeText(unwatched.until)})`;
  return `${source} (${reason === 'rare' ? 'too rare' : `nothing in ${historyDays} days`})`;
}

async function acknowledge(
  io: CommandIo,
  { json, kind, source, by }: AlertsOptions,
  { database }: CommandDatabase,
): Promise<number> {
  const user = by ?? actingUser();
  const count = await acknowledgeAlerts(database, { kind, source }, user);
  if (json) printJson(io.out, { acknowledged: count, by: user });
  else if (count > 0)
    printLine(
      io.out,
      `${countText(count, 'alert')} acknowledged by ${user}: no reminder comes until ${count === 1 ? 'it is' : 'they are'} resolved`,
    );
  else printLine(io.out, 'no open alert was acknowledged: postbell alerts lists them');
  return count > 0 ? 0 : 1;
}

/** Sends what waits before it, too: the order of messages is kept. */
async function sendTest(
  { out }: CommandIo,
  { json }: AlertsOptions,
  { database, config, log }: CommandDatabase,
): Promise<number> {
  const target = alertTargetOf(config);
  if (!target)
    throw new CommandError('ALERT_URL is not set: set it to the address that alerts are to be sent to');
  const id = await addMessage(database, 'test', [
    {
      kind: 'test',
      source: '',
      topic: '',
      errorClass: '',
      facts: { count: 1 },
      since: new Date().toISOString(),
    },
  ]);
  await sendMessages({ database, log, target }, new AbortController().signal);
  const message = await readMessage(database, id);
  const origin = new URL(target.url).origin;
  const isSent = message?.isSent ?? false;
  if (!isSent) await deleteUnsentTests(database);
  const error = isSent ? null : (message?.lastError ?? 'an earlier message waits for its next try');
  if (json) printJson(out, { isSent, isSigned: target.secret !== undefined, origin, error });
  else if (isSent)
    printLine(
      out,
      `${origin} accepted the test${target.secret === undefined ? '' : ', signed by ALERT_SECRET'}`,
    );
  else printLine(out, `the test did not arrive at ${origin}: ${error}`);
  return isSent ? 0 : 1;
}
