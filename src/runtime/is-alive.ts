// Tells whether a process of this machine exists.

/** For processes of every user. A zombie, whose parent has not read its exit code yet, counts as alive. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
