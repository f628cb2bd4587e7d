// Formats the log lines of a child process for people.
import { styleText } from 'node:util';
import { printable } from '../printable.ts';
import { parseLogLine } from '../runtime/child-process.ts';

const hidden = new Set(['level', 'time', 'pid', 'hostname', 'name', 'msg', 'reqId']);
const warnLevel = 40;
const errorLevel = 50;

/** `12:00:01 worker  attempt source=stripe outcome=processed ms=3`. Lines that are not JSON stay unchanged. */
export function readableLine(name: string, line: string, hasColours: boolean): string {
  const log = parseLogLine(line);
  const prefix = `${timeOf(log?.time)} ${name.padEnd(6)} `;
  if (!log) return prefix + printable(line);
  const fields = Object.entries(log)
    .filter(([key, value]) => !hidden.has(key) && value !== undefined)
    .map(([key, value]) => `${key}=${fieldText(value)}`);
  const text = printable([log.msg, ...fields].filter(Boolean).join(' '));
  const level = Number(log.level);
  if (!hasColours || level < warnLevel) return prefix + text;
  return prefix + styleText(level < errorLevel ? 'yellow' : 'red', text, { validateStream: false });
}

function timeOf(time: unknown): string {
  const date = typeof time === 'number' ? new Date(time) : new Date();
  return date.toTimeString().slice(0, 8);
}

function fieldText(value: unknown): string {
  if (typeof value !== 'string') return JSON.stringify(value);
  return /\s/.test(value) ? JSON.stringify(value) : value;
}
