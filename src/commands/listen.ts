// Makes a server listen at PORT and HOST, and names the remedy if it cannot.
import type { Config } from '../config.ts';
import { CommandError } from '../errors.ts';

/** A server of Fastify. */
interface Server {
  listen(options: { port: number; host: string }): Promise<string>;
}

/** @returns its address. @throws CommandError with the remedy */
export async function listen(server: Server, config: Pick<Config, 'PORT' | 'HOST'>): Promise<string> {
  return server.listen({ port: config.PORT, host: config.HOST }).catch((error) => {
    throw listenProblem(error, config) ?? error;
  });
}

function listenProblem(
  { code }: NodeJS.ErrnoException,
  { PORT, HOST }: Pick<Config, 'PORT' | 'HOST'>,
): CommandError | undefined {
  if (code === 'EADDRINUSE')
    return new CommandError(`port ${PORT} is in use: set PORT, or end the program that uses it`);
  if (code === 'EACCES')
    return new CommandError(`port ${PORT} needs rights that this user lacks: set PORT above 1023`);
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return new CommandError(
      `HOST ${HOST} is no address of this machine: unset HOST to listen on all addresses`,
    );
  return undefined;
}
