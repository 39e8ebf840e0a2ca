/** What a command line and the environment say about where the cluster is and how to print. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { WeirError } from '../core/errors.ts';
import { timeoutMs } from './names.ts';
import { parseJsonPath } from './json-path.ts';
import { paintNothing } from './colour.ts';
import { beQuiet, printLines, printPath, printYaml } from './output.ts';

const DEFAULT_ADDRESS = 'http://127.0.0.1:7080';

/** The options that every command takes, as commander gives them. */
export interface GlobalOptions {
  readonly address?: string;
  readonly token?: string;
  readonly ca?: string;
  readonly output?: string;
  readonly context?: string;
  readonly quiet?: boolean;
  /** false by --no-color. */
  readonly color?: boolean;
  /** A duration. */
  readonly requestTimeout?: string;
}

export interface Target {
  /** Base URL of a master, without a slash at its end. */
  readonly address: string;
  /** Those of other masters, asked when that one does not answer. */
  readonly others?: readonly string[];
  readonly token: string | null;
  /** For a whole answer, ms; absent = the client's own limit. */
  readonly requestLimitMs?: number;
  /** Certificates that a master may show beside those the system knows; PEM. */
  readonly ca?: string;
}

/**
 * From --address, --context, WEIR_ADDRESS, WEIR_CONTEXT or the context in use, in this order: one URL, or several
 * separated by commas. Throws: USAGE when one is not a URL or --ca cannot be read; NOT_FOUND for a context that is not
 * there.
 */
export function target(options: GlobalOptions): Target {
  const context = options.address === undefined ? contextOf(options) : undefined;
  const given = options.address ?? context?.address ?? DEFAULT_ADDRESS;
  const [address = DEFAULT_ADDRESS, ...others] = given
    .split(',')
    .filter((one) => one.trim() !== '')
    .map((one) => normalAddress(one.trim()));
  const token =
    options.token ?? context?.token ?? process.env['WEIR_TOKEN'] ?? readDevRun(address)?.token ?? readToken();
  const ca = address.startsWith('https:') ? (context?.ca ?? caOf(options)) : undefined;
  return {
    address,
    others,
    token: token === null || token === '' ? null : token,
    ...(ca === undefined ? {} : { ca }),
    ...(options.requestTimeout === undefined ? {} : { requestLimitMs: timeoutMs(options.requestTimeout) }),
  };
}

/** Text of --ca, WEIR_CA or, on the machine of a master, its own. Throws: USAGE. */
export function caOf(options: Pick<GlobalOptions, 'ca'>): string | undefined {
  const path = options.ca ?? process.env['WEIR_CA'];
  if (path === undefined || path === '') return readText(homeFile('security', 'ca.pem'));
  const text = readText(path);
  if (text?.includes('-----BEGIN CERTIFICATE-----') === true) return text;
  throw new WeirError('USAGE', `The file ${path} of --ca or WEIR_CA holds no certificate, or cannot be read.`);
}

function contextOf(options: GlobalOptions): Context | undefined {
  const environment = process.env['WEIR_ADDRESS'];
  if (options.context === undefined && environment !== undefined && environment !== '') return { address: environment };
  const { current, contexts } = readContexts();
  const name = options.context ?? process.env['WEIR_CONTEXT'] ?? current;
  if (name === undefined || name === '') return undefined;
  const found = contexts.get(name);
  if (found === undefined)
    throw new WeirError('NOT_FOUND', `There is no context ${name}; "weir context list" lists those there are.`);
  return found;
}

/** A cluster by name. */
export interface Context {
  readonly address: string;
  readonly token?: string;
  /** PEM. */
  readonly ca?: string;
}

export interface Contexts {
  readonly current?: string;
  readonly contexts: ReadonlyMap<string, Context>;
}

/** None when the file is missing or cannot be read. */
export function readContexts(): Contexts {
  try {
    const { current, contexts = {} } = JSON.parse(readText(homeFile('contexts.json')) ?? '') as {
      readonly current?: string;
      readonly contexts?: Readonly<Record<string, Context>>;
    };
    return { ...(current === undefined ? {} : { current }), contexts: new Map(Object.entries(contexts)) };
  } catch {
    return { contexts: new Map() };
  }
}

/** Readable by the user alone: contexts may hold tokens. */
export function writeContexts({ current, contexts }: Contexts): void {
  mkdirSync(homeFile(), { recursive: true, mode: 0o700 });
  const text = JSON.stringify({ current, contexts: Object.fromEntries(contexts) }, null, 2);
  writeFileSync(homeFile('contexts.json'), `${text}\n`, { mode: 0o600 });
}

/** The URL as it is used. Throws: USAGE. */
export function normalAddress(text: string): string {
  const full = /^https?:\/\//.test(text) ? text : `http://${text}`;
  if (!URL.canParse(full))
    throw new WeirError('USAGE', `The address ${text} is not a URL; it looks like ${DEFAULT_ADDRESS}.`);
  return full.replace(/\/+$/, '');
}

function homeFile(...names: readonly string[]): string {
  return join(homedir(), '.weir', ...names);
}

function readToken(): string | null {
  return readText(homeFile('token'))?.trim() ?? null;
}

/** What a running `npm start` tells commands typed in another terminal. */
export interface DevRun {
  readonly pid: number;
  readonly token: string;
  readonly logDirectory: string;
}

function devRunFile(address: string): string {
  return homeFile('run', `${new URL(address).host.replace(/[^\w.-]/g, '_')}.json`);
}

/** Readable by the user alone. A home directory that cannot be written is no reason not to start. */
export function writeDevRun(address: string, run: DevRun): void {
  try {
    mkdirSync(homeFile('run'), { recursive: true, mode: 0o700 });
    writeFileSync(devRunFile(address), JSON.stringify(run), { mode: 0o600 });
  } catch {
    // Commands in other terminals then need --token and find no logs; nothing else suffers.
  }
}

export function removeDevRun(address: string): void {
  rmSync(devRunFile(address), { force: true });
}

/** undefined when nothing runs there by `npm start`. */
export function readDevRun(address: string): DevRun | undefined {
  try {
    const run = JSON.parse(readText(devRunFile(address)) ?? '') as DevRun;
    process.kill(run.pid, 0);
    return run;
  } catch {
    return undefined;
  }
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

const PATH_FORMAT = 'jsonpath=';

export type OutputFormat = 'table' | 'wide' | 'json' | 'name';

/**
 * Where JSON is allowed JSON Lines, YAML and `jsonpath=…` are too: the format is `json` then, and documents are printed so. Throws:
 * USAGE.
 */
export function outputFormat(options: GlobalOptions, allowed: readonly OutputFormat[]): OutputFormat {
  if (options.quiet === true) beQuiet();
  if (options.color === false) paintNothing();
  const wanted = options.output ?? process.env['WEIR_OUTPUT'] ?? 'table';
  const ofJson =
    allowed.includes('json') && (wanted === 'yaml' || wanted === 'jsonl' || wanted.startsWith(PATH_FORMAT));
  if (ofJson && wanted === 'yaml') printYaml();
  else if (ofJson && wanted === 'jsonl') printLines();
  else if (ofJson) printPath(parseJsonPath(wanted.slice(PATH_FORMAT.length)));
  const format = ofJson ? 'json' : allowed.find((name) => name === wanted);
  if (format === undefined)
    throw new WeirError('USAGE', `This command has no output format ${wanted}; it has ${formatsOf(allowed)}.`);
  return format;
}

function formatsOf(allowed: readonly OutputFormat[]): string {
  return allowed
    .flatMap((name) => (name === 'json' ? ['json', 'jsonl', 'yaml', `${PATH_FORMAT}PATH`] : [name]))
    .join(', ');
}
