// Whether a process of this machine is there, by its id.

/** Of any user; a zombie, which nobody has reaped yet, counts too. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
