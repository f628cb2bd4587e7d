// Makes a server listen, and names the remedy where it cannot.
import type { FastifyInstance } from 'fastify';
import { CommandError } from '../errors.ts';

export interface ListenAddress {
  port: number;
  host: string;
  /** The settings that these two come from, for errors. */
  settings: { port: string; host: string };
}

/** @returns the address, with the port that was taken. @throws CommandError where the port or the address cannot be had */
export async function listen(app: FastifyInstance, where: ListenAddress): Promise<string> {
  const { port, host } = where;
  return app.listen({ port, host }).catch((error) => {
    throw listenProblem(error, where) ?? error;
  });
}

function listenProblem(
  { code }: NodeJS.ErrnoException,
  { port, host, settings }: ListenAddress,
): CommandError | undefined {
  if (code === 'EADDRINUSE')
    return new CommandError(`port ${port} is in use: set ${settings.port}, or end the program that uses it`);
  if (code === 'EACCES')
    return new CommandError(
      `port ${port} needs rights that this user lacks: set ${settings.port} above 1023`,
    );
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return new CommandError(
      `${settings.host} ${host} is no address of this machine: unset ${settings.host} to listen on its default`,
    );
  return undefined;
}
