// What is wrong with a provider's or a source's name that a person wrote, with the nearest known name.
import { didYouMean } from './did-you-mean.ts';
import { providers } from './registry.ts';

/** E.g. `there is no provider "strpe"; did you mean stripe?` */
export function unknownProvider(name: string): string {
  const hint =
    didYouMean(name, [...Object.keys(providers), 'pulled']) || '; all providers: postbell providers';
  return `there is no provider "${name}"${hint}`;
}

/** @param known the names of all sources, with and without a secret */
export function unknownSource(name: string, known: Iterable<string>): string {
  const hint =
    didYouMean(name, [...known]) ||
    `; declare it with POSTBELL_SOURCES=${name}=<provider>; all providers: postbell providers`;
  return `there is no source "${name}"${hint}`;
}
