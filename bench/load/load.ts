// Sends as fast as the connections allow: with wrk, or with our own generator where wrk is not installed.
import { isInstalled } from '../machine/tools.ts';
import { runClosedLoop } from './closed-loop.ts';
import type { RequestFile } from './requests.ts';
import { runWrk } from './wrk.ts';

export interface LoadOptions {
  url: string;
  connections: number;
  seconds: number;
  requests: RequestFile;
}

export interface LoadResult {
  /** Answers of any status, a second. */
  requestsPerSecond: number;
  /** Answers with 2xx. */
  accepted: number;
  acceptedPerSecond: number;
  /** Answers with another status. */
  refused: number;
  /** Connections that broke, answers that took longer than 10 s. */
  errors: number;
  p50Ms: number;
  p99Ms: number;
  maxMs: number;
  /** How often the file began again: then events were sent twice. */
  wraps: number;
}

export const generatorName = () => (isInstalled('wrk') ? 'wrk' : 'our own generator in node');

export function runLoad(options: LoadOptions): Promise<LoadResult> {
  return isInstalled('wrk') ? runWrk(options) : runClosedLoop(options);
}
