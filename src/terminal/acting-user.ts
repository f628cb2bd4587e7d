// Who acts at the command line, as the rows of pauses and acknowledgements name it.
import { userInfo } from 'node:os';

/** The user of this machine; `unknown` where the system has no name, e.g. in a container. USER is not asked: anybody sets it. */
export function actingUser(): string {
  try {
    return userInfo().username;
  } catch {
    return 'unknown';
  }
}
