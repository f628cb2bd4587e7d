// An ORM's BEGIN, COMMIT and ROLLBACK inside a handler's transaction: savepoints of Postbell's own names, properly nested.
import { PermanentError } from '../../errors.ts';
import { onlyWords, savepointName } from './statement-words.ts';

/** The statements that are sent in place of an ORM's BEGIN, COMMIT or ROLLBACK. */
export interface NestedStep {
  /** The command in the answer to the ORM. */
  command: 'BEGIN' | 'COMMIT' | 'ROLLBACK';
  statements: readonly string[];
  /** To be called when the statements failed: the nested transaction is then as if they had not been sent. */
  undo(): void;
}

export interface NestedTransactions {
  /**
   * Decides about a statement in the order of sending. `words`: the first three of the text.
   * @returns the statements to send in its place; undefined for one that is to be sent as it is
   * @throws PermanentError for one that has no place in the nesting, with the remedy
   */
  next(text: string, words: readonly string[]): NestedStep | undefined;
  /** Whether a BEGIN was left without its COMMIT or ROLLBACK. */
  isOpen(): boolean;
}

const ownPrefix = 'postbell_';
/** Not to be confused with the savepoints between the events of a shared transaction. */
const nestedPrefix = `${ownPrefix}nested_`;

export function nestTransactions(): NestedTransactions {
  let count = 0;
  // Outermost first: nested transactions, and the savepoints that the handler has set in or around them.
  let open: string[] = [];
  const innermost = () => open.findLastIndex((name) => name.startsWith(nestedPrefix));

  const begin = (): NestedStep => {
    const name = `${nestedPrefix}${++count}`;
    open.push(name);
    const undo = () => {
      open = open.filter((other) => other !== name);
    };
    return { command: 'BEGIN', statements: [`SAVEPOINT ${name}`], undo };
  };

  const end = (command: 'COMMIT' | 'ROLLBACK'): NestedStep => {
    const at = innermost();
    if (at === -1) throw unmatched(command);
    const ended = open.splice(at);
    const [name] = ended;
    const release = `RELEASE SAVEPOINT ${name}`;
    const statements = command === 'COMMIT' ? [release] : [`ROLLBACK TO SAVEPOINT ${name}`, release];
    // An ORM whose COMMIT failed sends ROLLBACK.
    return { command, statements, undo: () => open.push(...ended) };
  };

  /** A savepoint of the handler itself: sent as it is, if it stays inside the transaction where it belongs. */
  const followSavepoint = (text: string, command: 'set' | 'release' | 'roll back to'): undefined => {
    const name = savepointName(text);
    if (name === undefined)
      throw new PermanentError('tx cannot read the name of this savepoint: use letters, digits and _');
    if (name.toLowerCase().startsWith(ownPrefix))
      throw new PermanentError(
        `tx refuses savepoints named ${ownPrefix}…, which are Postbell's own: choose another name`,
      );
    if (command === 'set') {
      open.push(name);
      return;
    }
    const at = open.lastIndexOf(name);
    if (at !== -1 && at < innermost())
      throw new PermanentError(
        'tx refuses to end a savepoint from inside a transaction that was begun after it: end that transaction first',
      );
    if (at !== -1) open.splice(command === 'release' ? at : at + 1);
  };

  return {
    next: (text, [first = '', second, third]) => {
      if (first === 'savepoint') return followSavepoint(text, 'set');
      if (first === 'release') return followSavepoint(text, 'release');
      if (first === 'rollback' && (second === 'to' || third === 'to'))
        return followSavepoint(text, 'roll back to');
      if (!endings.has(first) && !beginnings.has(first)) return undefined;
      const isBare = bare.has(onlyWords(text)?.join(' ') ?? '');
      if (beginnings.has(first)) {
        if (!isBare) throw withModes(first);
        return begin();
      }
      const command = first === 'rollback' || first === 'abort' ? 'ROLLBACK' : 'COMMIT';
      if (!isBare) throw unmatched(first.toUpperCase());
      return end(command);
    },
    isOpen: () => innermost() !== -1,
  };
}

const beginnings = new Set(['begin', 'start']);
const endings = new Set(['commit', 'end', 'rollback', 'abort']);
/** The forms without an option. */
const bare = new Set([
  'start transaction',
  ...['begin', 'commit', 'end', 'rollback', 'abort'].flatMap((word) => [
    word,
    `${word} work`,
    `${word} transaction`,
  ]),
]);

function unmatched(word: string): PermanentError {
  return new PermanentError(
    `tx refuses ${word}: Postbell ends the transaction itself; only a plain COMMIT or ROLLBACK of a transaction that was begun on tx has a place here`,
  );
}

function withModes(word: string): PermanentError {
  return new PermanentError(
    `tx refuses ${word.toUpperCase()} with an isolation level, an access mode or a further statement: the event's transaction has begun, as READ COMMITTED; send BEGIN alone`,
  );
}
