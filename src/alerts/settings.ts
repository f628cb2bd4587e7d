// Where alerts are sent to, from the settings.
import type { Config } from '../config.ts';

export interface AlertTarget {
  url: string;
  /** undefined: the body is the text of a chat's incoming webhook, without a signature. */
  secret: string | undefined;
  /** Names this inbox in the message. */
  inboxName: string | undefined;
}

export type AlertTargetSettings = Pick<Config, 'ALERT_URL' | 'ALERT_SECRET' | 'ALERT_NAME'>;

/** undefined: nobody is told; `postbell alerts` shows the alerts all the same. */
export function alertTargetOf({
  ALERT_URL,
  ALERT_SECRET,
  ALERT_NAME,
}: AlertTargetSettings): AlertTarget | undefined {
  return ALERT_URL === undefined
    ? undefined
    : { url: ALERT_URL, secret: ALERT_SECRET, inboxName: ALERT_NAME };
}
