/** What a schema says about its keys: for flags, help, comments and suggestions, so that each is written once. */
import {z} from 'zod';
import {ContractError} from '../errors.js';

/** One key of a configuration. */
export interface KeyDescription {
  /** `evaluation.every`. */
  readonly path: string;
  readonly type: 'text' | 'number' | 'integer' | 'boolean' | 'choice' | 'other';
  /** Allowed values of a choice. */
  readonly choices?: readonly string[];
  /** The value that it has if nobody gives one; undefined if it is required or may be missing. */
  readonly default?: unknown;
  /** Meaning, unit and range; may be empty. */
  readonly description: string;
}

interface JsonSchema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly default?: unknown;
  readonly description?: string;
  readonly allOf?: readonly JsonSchema[];
}

/**
 * All keys of a schema of objects, in its order, nested ones by their paths; a key that holds keys is not listed itself.
 *
 * @throws ContractError if the schema has a part that JSON Schema cannot say, such as a function.
 */
export function describeKeys(schema: z.ZodType): KeyDescription[] {
  let json: JsonSchema;
  try {
    json = z.toJSONSchema(schema, {io: 'input'}) as JsonSchema;
  } catch (cause) {
    throw new ContractError(`config: the schema cannot be described: ${(cause as Error).message}`, {cause});
  }
  return keysOf(json, '');
}

function keysOf({properties = {}}: JsonSchema, prefix: string): KeyDescription[] {
  return Object.entries(properties).flatMap(([key, part]) => {
    const path = prefix + key;
    if (part.properties !== undefined) return keysOf(part, `${path}.`);
    return [{path, ...typeOf(part), ...('default' in part && {default: part.default}), description: part.description ?? ''}];
  });
}

function typeOf({type, enum: values}: JsonSchema): Pick<KeyDescription, 'type' | 'choices'> {
  if (values !== undefined) return {type: 'choice', choices: values.map(String)};
  if (type === 'string') return {type: 'text'};
  if (type === 'number' || type === 'integer' || type === 'boolean') return {type};
  return {type: 'other'};
}
