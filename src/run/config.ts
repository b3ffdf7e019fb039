/**
 * Configuration: a YAML file, `--set key=value` and flags, each overriding the one before, checked against one strict schema.
 *
 * Every complaint is one line that says where the wrong value stands: `run.yaml:4:3 learningRate: wanted …; got ….`
 */
import {isMap, isScalar, LineCounter, parse, parseDocument, Document, type Node} from 'yaml';
import {type z} from 'zod';
import {ConfigError} from '../errors.js';
import {nearest} from '../nearest.js';
import {describeKeys, type KeyDescription} from './configKeys.js';
import {wanted} from './configMessages.js';

/** Where settings come from; later ones win: file, then `set`, then `flags`. */
export interface ConfigSources {
  /** A YAML file that has been read already; `path` is for messages. */
  readonly file?: {readonly path: string; readonly text: string};
  /** `a.b=value` each, the value in YAML. */
  readonly set?: readonly string[];
  /** Flags by the key's path (`evaluation.every`), the value as it was typed, or a boolean. */
  readonly flags?: Readonly<Record<string, string | boolean>>;
}

/** A checked configuration, and where each value that somebody gave was given. */
export interface ResolvedConfig<T> {
  readonly value: T;
  /** Key path → `run.yaml:4:3`, `--set` or `--learning-rate`. A key that is missing here has its default. */
  readonly origins: ReadonlyMap<string, string>;
}

/** Other projects' names for our keys, for people who come from there: `did you mean` then knows what they mean. */
export type PeerNames = Readonly<Record<string, string>>;

/** A larger configuration file is taken for a mistake. */
const maxFileBytes = 2 ** 20;

type Plain = Record<string, unknown>;

const isPlain = (value: unknown): value is Plain => typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Merges the sources and checks them.
 *
 * @param peerNames spellings of other projects (`eta` → `noiseLevel`), offered when they are met.
 * @throws ConfigError with one line for each fault.
 */
export function resolveConfig<S extends z.ZodType>(
  schema: S,
  sources: ConfigSources,
  peerNames: PeerNames = {},
): ResolvedConfig<z.output<S>> {
  const keys = describeKeys(schema);
  const origins = new Map<string, string>();
  const input: Plain = sources.file === undefined ? {} : readFile(sources.file, origins);
  for (const [path, value, origin] of [...settings(sources.set ?? [], keys), ...flags(sources.flags ?? {}, keys)]) {
    assign(input, path, value, origin);
    origins.set(path, origin);
  }
  const result = schema.safeParse(input);
  if (result.success) return {value: result.data, origins};
  const lines = result.error.issues.flatMap((issue) => complaints(issue, input, origins, keys, peerNames));
  throw new ConfigError([...new Set(lines)].join('\n'));
}

function readFile({path, text}: {path: string; text: string}, origins: Map<string, string>): Plain {
  if (text.length > maxFileBytes)
    throw new ConfigError(`${path}: wanted a configuration; got ${text.length} characters of text.`);
  const lines = new LineCounter();
  const document = parseDocument(text, {lineCounter: lines, prettyErrors: false, version: '1.2'});
  const place = (offset: number): string => {
    const {line, col} = lines.linePos(offset);
    return `${path}:${line}:${col}`;
  };
  if (document.errors.length > 0) {
    throw new ConfigError(document.errors.map((e) => `${place(e.pos[0])}: not good YAML: ${firstLine(e.message)}`).join('\n'));
  }
  locate(document.contents, '', place, origins);
  let value: unknown;
  try {
    value = document.toJS({maxAliasCount: 100}) ?? {};
  } catch (cause) {
    throw new ConfigError(`${path}: not good YAML: ${firstLine((cause as Error).message)}`, {cause});
  }
  if (!isPlain(value))
    throw new ConfigError(`${path}:1:1: wanted keys and values, such as "seed: 42"; got ${JSON.stringify(value)}.`);
  return value;
}

const firstLine = (text: string): string => text.split('\n')[0];

/** Notes where every key of a YAML mapping stands. */
function locate(node: Node | null, prefix: string, place: (offset: number) => string, origins: Map<string, string>): void {
  if (!isMap(node)) return;
  for (const {key, value} of node.items) {
    if (!isScalar(key) || !key.range) continue;
    const path = prefix + String(key.value);
    origins.set(path, place(key.range[0]));
    locate(value as Node | null, `${path}.`, place, origins);
  }
}

type Setting = readonly [path: string, value: unknown, origin: string];

function settings(set: readonly string[], keys: readonly KeyDescription[]): Setting[] {
  return set.map((text) => {
    const at = text.indexOf('=');
    if (at < 1) throw new ConfigError(`--set ${text}: wanted key=value, such as --set seed=42; got no "=".`);
    const path = text.slice(0, at).trim();
    return [path, typed(path, text.slice(at + 1), keys, `--set ${path}`), '--set'];
  });
}

const flags = (given: Readonly<Record<string, string | boolean>>, keys: readonly KeyDescription[]): Setting[] =>
  Object.entries(given).map(([path, raw]) => {
    const origin = `--${flagName(path)}`;
    return [path, typeof raw === 'boolean' ? raw : typed(path, raw, keys, origin), origin];
  });

/** The flag of a key: `evaluation.heldOut` → `evaluation-held-out`. */
export const flagName = (path: string): string =>
  path.replace(/\./g, '-').replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** A value from the command line: text stays text where text is wanted, anything else is read as YAML. */
function typed(path: string, raw: string, keys: readonly KeyDescription[], origin: string): unknown {
  if (keys.find((k) => k.path === path)?.type === 'text') return raw;
  try {
    return parse(raw, {version: '1.2', prettyErrors: false}) as unknown;
  } catch (cause) {
    throw new ConfigError(`${origin}: not a good value: ${firstLine((cause as Error).message)}`, {cause});
  }
}

function assign(into: Plain, path: string, value: unknown, origin: string): void {
  const keys = path.split('.');
  if (keys.some((k) => k === '' || k === '__proto__')) throw new ConfigError(`${origin} ${path}: not the name of a key.`);
  const last = keys.pop() as string;
  let node = into;
  for (const key of keys) {
    if (!Object.hasOwn(node, key) || !isPlain(node[key])) node[key] = {};
    node = node[key] as Plain;
  }
  node[last] = value;
}

/** One fault in the words of `file:line:column key: what was wanted; what came; what to do.` */
function complaints(
  issue: z.core.$ZodIssue,
  input: Plain,
  origins: ReadonlyMap<string, string>,
  keys: readonly KeyDescription[],
  peerNames: PeerNames,
): string[] {
  const parent = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const path = [...parent, key].join('.');
      const siblings = keys.map((k) => k.path);
      // Another project's name may mean a key that this run does not have.
      const named = Object.hasOwn(peerNames, key) ? siblings.find((sibling) => sibling === peerNames[key]) : undefined;
      const meant = named ?? nearest(path, siblings) ?? nearest(key, siblings);
      const advice = meant === undefined ? '`--help` lists the keys.' : `did you mean "${meant}"?`;
      return `${spot(path, origins)}: no such key; ${advice}`;
    });
  }
  const path = parent.join('.');
  const value = issue.path.reduce<unknown>(
    (node, key) => (isPlain(node) || Array.isArray(node) ? (node as Plain)[String(key)] : undefined),
    input,
  );
  return [`${spot(path, origins)}: ${wanted(issue, value, keys.find((k) => k.path === path)?.type === 'integer')}`];
}

/** `file:line:column key`, or `--flag` where the flag is the key's name already. */
function spot(path: string, origins: ReadonlyMap<string, string>): string {
  const parent = path.split('.').slice(0, -1).join('.');
  const inside = [...origins.keys()].find((key) => key.startsWith(`${path}.`)) ?? '';
  const origin = origins.get(path) ?? origins.get(inside) ?? origins.get(parent) ?? 'config';
  return origin === `--${flagName(path)}` ? origin : `${origin} ${path}`.trim();
}

/**
 * The configuration as a YAML file that can be read back, each key under its description.
 *
 * @param value as `resolveConfig` gave it; keys that are undefined are left out.
 * @param origins if given, each value that somebody gave says where.
 */
export function renderConfig(schema: z.ZodType, value: object, origins: ReadonlyMap<string, string> = new Map()): string {
  const descriptions = new Map(describeKeys(schema).map((k) => [k.path, k.description]));
  const document = new Document(JSON.parse(JSON.stringify(value)));
  const annotate = (node: Node | null, prefix: string): void => {
    if (!isMap(node)) return;
    for (const {key, value: child} of node.items) {
      if (!isScalar(key)) continue;
      const path = prefix + String(key.value);
      const description = descriptions.get(path);
      if (description !== undefined && description !== '') key.commentBefore = ` ${description}`;
      const origin = origins.get(path);
      if (origin !== undefined && isScalar(child)) child.comment = ` from ${origin}`;
      annotate(child as Node | null, `${path}.`);
    }
  };
  annotate(document.contents, '');
  return document.toString({lineWidth: 0});
}
