// The three questions of `postbell init`: providers, platform, language.
import { createInterface } from 'node:readline';
import { CommandError } from '../errors.ts';
import { printable } from '../printable.ts';
import { findProvider, type Provider, unknownProvider } from '../providers/index.ts';
import type { CommandIo } from '../terminal/io.ts';
import { printLine } from '../terminal/print.ts';
import type { Language, Project } from './project.ts';

export type Platform = 'heroku' | 'render' | 'docker';

export interface Answers {
  /** At least one. The first is the provider of the example handler. */
  providers: Provider[];
  platforms: Platform[];
  language: Language;
}

/** An option that is set answers its question. */
export interface GivenAnswers {
  /** Names with commas between them. */
  providers?: string;
  /** `heroku`, `render`, `docker`, or `all`. */
  platform?: string;
  /** `typescript` or `javascript`. */
  language?: string;
  /** Take the default of each question that is left. */
  yes?: boolean;
}

interface Question<T> {
  text: string;
  usual: string;
  /** @throws AnswerError naming the answers that can be given */
  parse(answer: string): T;
}

class AnswerError extends Error {}

const platforms: readonly Platform[] = ['heroku', 'render', 'docker'];

/** @throws CommandError for a wrong option, and when there is no terminal to ask at */
export async function askAnswers(io: CommandIo, project: Project, given: GivenAnswers): Promise<Answers> {
  const reader = createReader(io, given.yes ?? false);
  try {
    return {
      providers: await answer(reader, providersQuestion, given.providers),
      platforms: await answer(reader, platformQuestion, given.platform),
      language:
        given.language === undefined && project.language
          ? project.language
          : await answer(reader, languageQuestion(project), given.language),
    };
  } finally {
    reader.close();
  }
}

const providersQuestion: Question<Provider[]> = {
  text: 'Which providers send webhooks? (commas between their names; all names: postbell providers)',
  usual: 'stripe',
  parse: (answer) => {
    const names = [...new Set(answer.split(',').map((name) => name.trim().toLowerCase()))].filter(Boolean);
    if (names.length === 0) throw new AnswerError('Name at least one provider.');
    return names.map((name) => {
      const provider = findProvider(name);
      if (!provider) throw new AnswerError(unknownProvider(name));
      if (provider.configure)
        throw new AnswerError(`${name} is described by variables (docs/settings.md): add it later.`);
      return provider;
    });
  },
};

const platformQuestion: Question<Platform[]> = {
  text: 'Where will it run? (heroku, render, docker or all)',
  usual: 'all',
  parse: (answer) => {
    if (answer === 'all') return [...platforms];
    const platform = platforms.find((name) => name === answer.toLowerCase());
    if (!platform) throw new AnswerError(`Use ${platforms.join(', ')} or all.`);
    return [platform];
  },
};

const languageQuestion = ({ manifest }: Project): Question<Language> => ({
  text: 'TypeScript or JavaScript?',
  usual: manifest?.dependencies ? 'javascript' : 'typescript',
  parse: (answer) => {
    const name = answer.toLowerCase();
    if (name !== 'typescript' && name !== 'javascript')
      throw new AnswerError('Use typescript or javascript.');
    return name;
  },
});

async function answer<T>(reader: Reader, question: Question<T>, given: string | undefined): Promise<T> {
  if (given === undefined) return reader.ask(question);
  try {
    return question.parse(given);
  } catch (error) {
    throw error instanceof AnswerError ? new CommandError(error.message) : error;
  }
}

interface Reader {
  ask<T>(question: Question<T>): Promise<T>;
  close(): void;
}

function createReader({ input, err }: CommandIo, takesDefaults: boolean): Reader {
  if (takesDefaults) return { ask: async ({ parse, usual }) => parse(usual), close: () => {} };
  if (!input.isTTY || !err.isTTY) {
    const ask = async () => {
      throw new CommandError(
        'there is no terminal to ask at: add --yes for the defaults, or --providers, --platform and --language',
      );
    };
    return { ask, close: () => {} };
  }
  const typing = createInterface({ input, output: err as NodeJS.WritableStream });
  const lines = typing[Symbol.asyncIterator](); // keeps the lines that were typed before their question
  const ask = async <T>({ text, usual, parse }: Question<T>): Promise<T> => {
    for (;;) {
      err.write(`${text} [${usual}] `);
      const { done, value } = await lines.next();
      if (done) throw new CommandError('nothing was written'); // Ctrl-C, Ctrl-D
      try {
        return parse(value.trim() || usual);
      } catch (error) {
        if (!(error instanceof AnswerError)) throw error;
        printLine(err, printable(error.message));
      }
    }
  };
  return { ask, close: () => typing.close() };
}
