// What an editor offers inside defineHandler, asked of TypeScript's own language server.
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import t from 'tap';
import { atEnd } from '../support/at-end.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const uri = pathToFileURL(`${root}test/handlers/not-saved.ts`).href;
// tap puts loaders of its own into every Node that a test starts; TypeScript's launcher does not run with them.
const command = `unset NODE_OPTIONS; exec '${root}node_modules/.bin/tsc' --lsp --stdio`;
const server = spawn('/bin/sh', ['-c', command], { cwd: root });
atEnd(t, async () => void server.kill());
const { notify, request } = connect(server);

interface Message {
  id?: number;
  method?: string;
  result?: { items: { label: string }[] };
}

/** JSON-RPC with the headers of the language server protocol. What the server asks gets the answer null. */
function connect({ stdin, stdout }: ChildProcess) {
  const waiting = new Map<number, (message: Message) => void>();
  let received = Buffer.alloc(0);
  let lastId = 0;
  const send = (message: object) => {
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message }));
    stdin!.write(`Content-Length: ${body.length}\r\n\r\n${body}`);
  };
  stdout!.on('data', (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    for (let end = received.indexOf('\r\n\r\n'); end !== -1; end = received.indexOf('\r\n\r\n')) {
      const length = Number(/Content-Length: (\d+)/.exec(received.subarray(0, end).toString())![1]);
      if (received.length < end + 4 + length) return;
      const message = JSON.parse(received.subarray(end + 4, end + 4 + length).toString()) as Message;
      received = received.subarray(end + 4 + length);
      if (message.id === undefined) continue;
      if (message.method) send({ id: message.id, result: null });
      else waiting.get(message.id)?.(message);
    }
  });
  return {
    notify: (method: string, params: object) => send({ method, params }),
    request: (method: string, params: object) =>
      new Promise<Message>((resolve) => {
        waiting.set(++lastId, resolve);
        send({ id: lastId, method, params });
      }),
  };
}

let version = 0;

/** @param options of defineHandler, with '' where the cursor is */
async function offered(options: string): Promise<string[]> {
  const line = `defineHandler({ ${options} handle: async () => {} });`;
  const text = `import { defineHandler } from '../../src/index.ts';\n${line}`;
  const textDocument = { uri, version: ++version };
  if (version === 1)
    notify('textDocument/didOpen', { textDocument: { ...textDocument, languageId: 'typescript', text } });
  else notify('textDocument/didChange', { textDocument, contentChanges: [{ text }] });
  const position = { line: 1, character: line.indexOf("''") + 1 };
  const { result } = await request('textDocument/completion', { textDocument: { uri }, position });
  return (result?.items ?? []).map(({ label }) => label).sort();
}

t.test('providers, and topics of the provider', async (t) => {
  const folder = pathToFileURL(root).href;
  await request('initialize', { processId: process.pid, rootUri: folder, capabilities: {} });
  notify('initialized', {});
  const providers = await offered(`provider: '', topic: '*',`);
  for (const name of ['stripe', 'shopify', 'github']) t.ok(providers.includes(name), name);
  const github = [
    '*',
    'issues.closed',
    'issues.opened',
    'ping',
    'pull_request.closed',
    'pull_request.opened',
  ];
  t.same(await offered(`provider: 'github', topic: '',`), [...github, 'push']);
  t.same(await offered(`provider: 'github', topic: ['push', ''],`), [...github, 'push']);
  t.notOk((await offered(`provider: 'of-our-own', topic: '',`)).includes('push'), 'another text compiles');
});
