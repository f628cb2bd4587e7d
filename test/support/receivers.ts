// Receivers of the process under test, on an inbox that is there, and closed with the test.
import type { Test } from 'tap';
import { createReceiver, type Receiver, type ReceiverOptions } from '../../src/receive/receiver.ts';
import { atEnd } from './at-end.ts';
import type { Inbox } from './inbox.ts';

export type OpenReceiver = (t: Test, overrides?: Partial<ReceiverOptions>) => Receiver;

/** With the limits that `web` has by default, but for `overrides`. */
export function receiversOn(inbox: Inbox): OpenReceiver {
  return (t, overrides = {}) => {
    const receiver = createReceiver({ ...inbox, timeoutMs: 3_000, queueMax: 5_000, ...overrides });
    atEnd(t, () => receiver.close());
    return receiver;
  };
}
