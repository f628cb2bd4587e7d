// Where alerts are sent to, from the settings.
import type { Config } from '../config.ts';

export interface AlertTarget {
  url: string;
  /** undefined: the body is the text of a chat's incoming webhook, without a signature. */
  secret: string | undefined;
  /** Names this inbox in the message. */
  inboxName: string | undefined;
  /** Address of the operators' page; undefined: `web` does not serve it, or its address is not known. */
  opsUrl?: string | undefined;
}

export type AlertTargetSettings = Pick<
  Config,
  'ALERT_URL' | 'ALERT_SECRET' | 'ALERT_NAME' | 'PUBLIC_URL' | 'OPS_PASSWORD' | 'OPS_IN_WEB'
>;

/** undefined: no message is sent; `postbell alerts` shows the alerts all the same. */
export function alertTargetOf(config: AlertTargetSettings): AlertTarget | undefined {
  const { ALERT_URL: url, ALERT_SECRET: secret, ALERT_NAME: inboxName } = config;
  return url === undefined ? undefined : { url, secret, inboxName, opsUrl: opsUrlOf(config) };
}

function opsUrlOf({ PUBLIC_URL, OPS_PASSWORD, OPS_IN_WEB }: AlertTargetSettings): string | undefined {
  const isKnown = PUBLIC_URL !== undefined && OPS_PASSWORD !== undefined && OPS_IN_WEB;
  return isKnown ? `${PUBLIC_URL.trim().replace(/\/+$/, '')}/ops` : undefined;
}
