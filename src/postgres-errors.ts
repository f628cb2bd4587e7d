// Describes an error of Postgres by its SQLSTATE and by names of the schema, never by a value that the message quotes.

/** Fields of an error of Postgres; empty if missing. */
export interface PostgresError {
  /** SQLSTATE. */
  code: string;
  message: string;
  table: string;
  column: string;
  constraint: string;
  /** Position in the statement, in characters from 1. */
  position: string;
  /** The function of the server that reported it. */
  routine: string;
}

// Postgres' own phrases, so that a search finds them. The full message may be translated, and contains the value.
const phrases: Record<string, string> = {
  '22': 'a value is not acceptable',
  '22001': 'value too long',
  '22003': 'value out of range',
  '22004': 'null value not allowed',
  '22007': 'invalid date or time',
  '22008': 'date/time field value out of range',
  '22012': 'division by zero',
  '22021': 'invalid byte sequence for the encoding',
  '22023': 'invalid parameter value',
  '2201B': 'invalid regular expression',
  '22032': 'invalid JSON text',
  '22P02': 'invalid input syntax',
  '22P05': 'character without an equivalent in the encoding',
  '23': 'a row violates a constraint',
  '23001': 'a row is still referenced (RESTRICT)',
  '23502': 'null value violates not-null constraint',
  '23503': 'row violates foreign key constraint',
  '23505': 'duplicate key value violates unique constraint',
  '23514': 'row violates check constraint',
  '23P01': 'conflicting key value violates exclusion constraint',
};

/** Classes whose messages quote names of relations, columns, roles. (A syntax error quotes the statement.) */
const quotesNames = /^(?!4260)(0A|2[5-8BD]|3[4BDF]|4[024]|5[3578])/;

const quoteSigns = `"'\`«»„“”‘’‹›「」『』`;
const quotedName = new RegExp(`[${quoteSigns}]\\s?[A-Za-z_][\\w$.]*\\s?[${quoteSigns}]`, 'g');
const quoteSign = new RegExp(`(?<!\\w)[${quoteSigns}]|[${quoteSigns}](?!\\w)`, 'g');

/** Without values, e.g. `duplicate key value violates unique constraint (SQLSTATE 23505, constraint orders_pkey)`. */
export function postgresErrorText(error: PostgresError): string {
  const { code, table, column, constraint, position } = error;
  const details = [
    `SQLSTATE ${code}`,
    table && `table ${table}`,
    column && `column ${column}`,
    constraint && `constraint ${constraint}`,
    code === '42601' && /^\d{1,9}$/.test(position) && `at character ${position}`,
  ];
  return `${wordsOf(error)} (${details.filter(Boolean).join(', ')})`;
}

function wordsOf({ code, message, routine }: PostgresError): string {
  const text = message.slice(0, 1_000);
  // The team's own text, by RAISE with any SQLSTATE: every quoted part may be a value.
  const isRaised = code.startsWith('P0') || /^exec_stmt_(raise|assert)$/.test(routine);
  const phrase = phrases[code] ?? phrases[code.slice(0, 2)];
  if (phrase && !isRaised) return `${phrase}${typeNamedIn(text)}`;
  return withoutNumbers(withoutQuoted(text, !isRaised && quotesNames.test(code)));
}

/** The name of the type, which is before the value or at the end of the message. */
function typeNamedIn(message: string): string {
  const name = '[a-z][a-z0-9_ ]{0,62}';
  const found =
    new RegExp(`^invalid input (?:syntax for type|value for enum) (${name})(?::|$)`).exec(message) ??
    new RegExp(`^value too long for type (${name}\\(\\d+\\))$`).exec(message) ??
    new RegExp(`" is out of range for type (${name})$`).exec(message);
  return found ? ` for type ${found[1]}` : '';
}

/** Cuts from the first quotation mark to the last: a value may contain quotation marks. */
function withoutQuoted(text: string, keepsNames: boolean): string {
  const values = keepsNames ? text.replaceAll(quotedName, '') : text;
  if (values.search(quoteSign) === -1) return text;
  const signs = [...text.matchAll(quoteSign)].map(({ index }) => index);
  const end = signs.length > 1 ? signs.at(-1)! + 1 : text.length;
  return `${text.slice(0, signs[0])}…${text.slice(end)}`;
}

/** Cuts amounts, dates, ids and addresses; keeps `$1` and digits inside a name. */
export function withoutNumbers(text: string): string {
  return text.replaceAll(/(?<![\w$])[-+]?\d[^\s(),;]*/g, '…').replaceAll(/[^\s"']{1,200}@[^\s"']+/g, '…');
}
