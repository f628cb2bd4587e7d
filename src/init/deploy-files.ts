// The files that the platforms and CI read, filled in from `templates/`.
import type { Answers } from './answers.ts';
import { fillTemplate } from './fill-template.ts';
import { scriptNames } from './manifest.ts';
import type { Project } from './project.ts';
import { type Variable, variablesOf } from './variables.ts';

/** Texts by their paths in the project. */
export function deployFiles(project: Project, answers: Answers): Record<string, string> {
  const variables = variablesOf(answers.providers);
  const { installForProduction: install, lockfile } = project.packageManager;
  const byPlatform = {
    heroku: () => ({ Procfile: fillTemplate('Procfile'), 'app.json': appJson(project.name, variables) }),
    render: () => ({
      'render.yaml': fillTemplate('render.yaml', {
        name: project.name,
        install,
        secrets: variables.map(({ name }) => `      - key: ${name}\n        sync: false\n`).join(''),
      }),
    }),
    docker: () => ({
      Dockerfile: fillTemplate('Dockerfile', { manifests: `package.json ${lockfile}`, install }),
      '.dockerignore': fillTemplate('dockerignore'),
    }),
  };
  const chosen = answers.platforms.map((platform) => byPlatform[platform]());
  return Object.assign({}, ...chosen, { '.github/workflows/postbell.yml': workflow(project, answers) });
}

function appJson(name: string, variables: readonly Variable[]): string {
  const app = JSON.parse(fillTemplate('app.json', { name })) as Record<string, unknown>;
  app.env = Object.fromEntries(
    variables.map((variable) => [variable.name, { description: variable.meaning, required: false }]),
  );
  return `${JSON.stringify(app, null, 2)}\n`;
}

function workflow(project: Project, { language }: Answers): string {
  const { packageManager } = project;
  const { test, typecheck } = scriptNames(project, language);
  const scripts = typecheck === undefined ? [test] : [typecheck, test];
  const { installLocked, exec, run } = packageManager;
  const commands = [installLocked, `${exec} postbell migrate`, ...scripts.map((name) => `${run} ${name}`)];
  return fillTemplate('workflow.yml', { checks: commands.map((line) => `      - run: ${line}\n`).join('') });
}
