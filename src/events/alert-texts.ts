// What an alert says: one sentence, and a command that shows more. Counts and names only.
import { printable, shellQuoted } from '../printable.ts';
import { countText, durationText } from '../texts.ts';
import type { ReportedAlert } from './alerts.ts';
import type { RecoverFailure } from './recoveries.ts';

export interface AlertText {
  sentence: string;
  /** A command that shows more. */
  command: string;
}

type Facts = ReportedAlert['facts'];

const texts: Record<string, (alert: ReportedAlert) => AlertText> = {
  dead_letters: ({ source, topic, errorClass, facts }) => ({
    sentence: `${count(facts, 'dead letter')} of ${source}, topic ${topic}, error ${errorClass}`,
    command: `postbell events --status FAILED --source ${source} --topic ${shellQuoted(topic)}`,
  }),
  oldest_pending: ({ source, facts }) => ({
    sentence: `${count(facts, 'event')} of ${source} wait for a first attempt, the oldest for ${duration(facts, 'oldestSeconds')}`,
    command: 'postbell status',
  }),
  everything_rejected: ({ source, facts }) => ({
    sentence: `every request for ${source} is rejected: ${facts.count} since the last accepted one, mostly ${facts.reason}`,
    command: 'postbell doctor',
  }),
  silence: ({ source, facts }) => ({
    sentence: `nothing has arrived for ${source} for ${duration(facts, 'silentSeconds')}; ${facts.count} events were to be expected`,
    command: 'postbell doctor',
  }),
  lost_secret: ({ source, facts }) => ({
    sentence: `${source} has no secret any more, and its provider still sends: ${countText(facts.count, 'request')} answered with 503`,
    command: 'postbell doctor',
  }),
  recover_failing: ({ source, facts }) => ({
    sentence: `recovering ${source} has failed for ${duration(facts, 'failingSeconds')} (${facts.failure}): ${recoverRemedies[String(facts.failure)]?.(facts.variable) ?? 'its last error names the remedy'}`,
    command: `postbell doctor ${source}`,
  }),
  no_worker: ({ facts }) => ({ sentence: gone('worker', facts), command: 'postbell status' }),
  no_web: ({ facts }) => ({ sentence: gone('web', facts), command: 'postbell status' }),
  connections: ({ facts }) => ({
    sentence: `${facts.count} of ${facts.limit} database connections are in use`,
    command: 'postbell doctor',
  }),
  database_size: ({ facts }) => ({
    sentence: `the database has ${gigabytes(facts.count)} of ${gigabytes(Number(facts.limit))} GB`,
    command: 'postbell doctor',
  }),
  quarantine_full: ({ source, facts }) => ({
    sentence: `the quarantine of ${source} has no room: ${countText(facts.count, 'rejected request')} not kept (${facts.reason})`,
    command: `postbell quarantine list ${source}`,
  }),
  replay_flood: ({ source, facts }) => ({
    sentence: `${countText(facts.count, 'request')} for ${source} answered with 503 in the last hour: each repeats a body that came more than 100 times under other ids`,
    command: `postbell events --source ${source} --status IGNORED`,
  }),
  test: () => ({ sentence: 'this is a test of `postbell alerts test`', command: 'postbell alerts' }),
};

export function describeAlert(alert: ReportedAlert): AlertText {
  const text = texts[alert.kind]?.(alert) ?? { sentence: alert.kind, command: 'postbell alerts' };
  // A topic is the provider's text.
  return { sentence: printable(text.sentence), command: printable(text.command) };
}

const recoverRemedies: Record<string, (variable: unknown) => string> = {
  key_refused: (variable: unknown) =>
    `the provider's API does not accept the key; correct ${variable}_API_KEY`,
  request_refused: (variable: unknown) =>
    `the provider's API refuses the request; check the settings ${variable}_API_…`,
  unavailable: () => "the provider's API gives no answer, or errors; the next run tries again",
  unexpected_answer: (variable: unknown) =>
    `the answer is not the one of the provider's API; check ${variable}_API_URL`,
  not_arrived: (variable: unknown) =>
    `events that the provider was asked to send again do not arrive; unless it refuses, as the last error then says, check the webhook's address at the provider and ${variable}_WEBHOOK_SECRET`,
  internal: () => 'Postbell itself failed; the log of the worker has the reason',
} satisfies Record<RecoverFailure, (variable: unknown) => string>;

/** `100,000 events or more`. */
function count(facts: Facts, noun: string): string {
  return `${countText(facts.count, noun)}${facts.orMore ? ' or more' : ''}`;
}

function duration(facts: Facts, name: string): string {
  return durationText(Number(facts[name]));
}

function gone(kind: string, facts: Facts): string {
  const end = facts.end === 'stopped' ? 'was stopped' : 'died';
  return `no ${kind} runs: the last, on ${facts.host}, ${end} ${duration(facts, 'lastSeenSeconds')} ago`;
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(1);
}
