// A handler's schema, of any library that follows Standard Schema (https://standardschema.dev): zod, valibot, arktype.
import { describeError, isLater, isPermanent, PermanentError } from '../errors.ts';

/** The part of Standard Schema, version 1, that Postbell uses. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>;
    /** For TypeScript only; no value at run time. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
  };
}

type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] };

interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The type that a schema gives to a valid payload. */
export type SchemaOutput<S extends StandardSchema> = NonNullable<S['~standard']['types']>['output'];

/** zod's and valibot's schemas are objects, arktype's are functions. */
export function isStandardSchema(value: unknown): value is StandardSchema {
  const isHolder = (typeof value === 'object' && value !== null) || typeof value === 'function';
  return isHolder && typeof (value as Partial<StandardSchema>)['~standard']?.validate === 'function';
}

/** Schemas that have answered with a Promise: nothing in a Standard Schema says beforehand whether it will. */
const asynchronous = new WeakSet<StandardSchema>();

export function isAsynchronous(schema: StandardSchema): boolean {
  return asynchronous.has(schema);
}

/**
 * @returns the valid payload; a Promise of it only where the schema answered with a Promise
 * @throws PermanentError that names the paths of a mismatch; Error where the schema itself throws.
 * Neither holds a message of the schema: messages quote the payload.
 */
export function validatePayload(schema: StandardSchema, payload: unknown): unknown {
  try {
    const result = schema['~standard'].validate(payload);
    if (!('then' in result)) return validValue(result);
    asynchronous.add(schema);
    return awaitValue(result);
  } catch (error) {
    throw withoutMessage(error);
  }
}

function awaitValue(result: PromiseLike<SchemaResult<unknown>>): Promise<unknown> {
  const value = Promise.resolve(result)
    .then(validValue)
    .catch((error: unknown) => {
      throw withoutMessage(error);
    });
  value.catch(() => {}); // another schema of the event may have failed before: then nobody awaits this one
  return value;
}

function validValue(result: SchemaResult<unknown>): unknown {
  if (!result.issues) return result.value;
  const paths = [...new Set(result.issues.slice(0, maxPaths).map(pathOf))];
  const more = result.issues.length > maxPaths ? ', …' : '';
  throw new PermanentError(`the payload does not match the handler's schema at: ${paths.join(', ')}${more}`);
}

const maxPaths = 10;
/** Longest path in keys. */
const maxKeys = 20;

function pathOf({ path = [] }: SchemaIssue): string {
  const keys = path.slice(0, maxKeys).map((part) => keyText(typeof part === 'object' ? part.key : part));
  return keys.join('.') || 'body';
}

/** A record's keys may be values (`ada@example.com`, an account's number): only names and indexes are told. */
function keyText(key: PropertyKey): string {
  return /^(?:[A-Za-z_$][\w$-]{0,63}|\d{1,5})$/.test(String(key)) ? String(key) : '…';
}

/** The frames stay: they lead to the line of the schema. PermanentError and Later have a text that somebody chose. */
function withoutMessage(thrown: unknown): unknown {
  if (isPermanent(thrown) || isLater(thrown)) return thrown;
  const name = thrown instanceof Error ? thrown.constructor.name.slice(0, 60) : typeof thrown;
  const error = new Error(
    `the handler's schema threw (${name}); its message is not kept, it may quote the payload`,
  );
  error.stack = describeError(thrown).stack ?? '';
  return error;
}
