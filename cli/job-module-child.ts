/**
 * The child process that evaluates one TypeScript job: `job-module-child.ts FILE`. Writes one {@link EvaluatedJob} as JSON
 * to file descriptor 3. `weir` is the SDK of this installation, wherever the file lies.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeSync } from 'node:fs';
import { registerHooks, stripTypeScriptTypes } from 'node:module';
import { dirname, relative, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { messageOf } from '../core/errors.ts';
import type { ModuleSource } from '../core/job/user-functions.ts';
import type { DefinedJob } from '../sdk/job.ts';
import { RESULT_FD } from './job-module.ts';

export type EvaluatedJob =
  | { readonly kind: 'job'; readonly document: DefinedJob['document'] & { readonly module?: ModuleSource } }
  /** `message`: `file:line:column what is wrong`. */
  | { readonly kind: 'failed'; readonly message: string };

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
const sdkUrl = new URL(`../sdk/index.${extension}`, import.meta.url).href;

/** Files of the job, by URL: their sources without types. */
const files = new Map<string, string>();
/** Where a file of the job is no TypeScript that only needs its types taken away. */
let unparsed: string | null = null;
/** Imports of the job's files that cannot go to workers. */
const foreign: { readonly url: string; readonly specifier: string }[] = [];

function watchImports(entry: string): void {
  files.set(entry, '');
  registerHooks({
    resolve(specifier, context, next) {
      const parent = context.parentURL ?? '';
      if (!files.has(parent)) return next(specifier, context);
      if (specifier === 'weir') return next(sdkUrl, context);
      const found = next(specifier, context);
      const isOwn = /^\.{1,2}\//.test(specifier) && /\.[cm]?[jt]s$/.test(found.url);
      if (!isOwn) foreign.push({ url: parent, specifier });
      else if (!files.has(found.url)) files.set(found.url, '');
      return found;
    },
    load(url, context, next) {
      if (!files.has(url)) return next(url, context);
      const text = readFileSync(fileURLToPath(url), 'utf8');
      const source = /\.[cm]?ts$/.test(url) ? withoutTypes(url, text) : text;
      files.set(url, source);
      return { format: 'module', source, shortCircuit: true };
    },
  });
}

/** Types become spaces: every line and column stays where it was. */
function withoutTypes(url: string, text: string): string {
  try {
    return stripTypeScriptTypes(text);
  } catch (error) {
    // Of a source without a name its stack begins with the line, then come that line and a caret.
    const [, line, above = ''] = /^:(\d+)\n([^]*?\n *)\^/.exec(error instanceof Error ? (error.stack ?? '') : '') ?? [];
    const column = above.length - above.lastIndexOf('\n');
    if (line !== undefined) unparsed = `${shown(fileURLToPath(url))}:${line}:${column}`;
    throw error;
  }
}

async function evaluate(path: string): Promise<EvaluatedJob> {
  const entry = pathToFileURL(path).href;
  watchImports(entry);
  let exported: unknown;
  try {
    exported = ((await import(entry)) as { readonly default?: unknown }).default;
  } catch (thrown) {
    return { kind: 'failed', message: `${placeOf(thrown, path)} ${sentenceOf(thrown)}` };
  }
  const job = exported as Partial<DefinedJob> | undefined;
  if (typeof job?.document !== 'object') {
    const message = 'exports no job: it needs "export default defineJob({ … })"';
    return { kind: 'failed', message: `${shown(path)} ${message}` };
  }
  const { document } = job as DefinedJob;
  if (job.functions === null && job.batches?.some((call) => call !== null) !== true) return { kind: 'job', document };
  const [bad] = foreign;
  if (bad !== undefined) {
    const place = `${shown(fileURLToPath(bad.url))}:${lineOfImport(bad.url, bad.specifier)}`;
    const message = `imports '${bad.specifier}': a job with functions imports 'weir' and its own files beside it (./name.ts), for its code runs in workers`;
    return { kind: 'failed', message: `${place} ${message}` };
  }
  return { kind: 'job', document: { ...document, module: moduleOf(entry) } };
}

function moduleOf(entry: string): ModuleSource {
  const paths = Array.from(files, ([url, source]) => ({ path: fileURLToPath(url), source }));
  const root = commonFolder(paths.map(({ path }) => path));
  const named = (path: string): string => relative(root, path).split(sep).join('/');
  const sources = paths
    .map(({ path, source }) => ({ path: named(path), source }))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
  const content = { entry: named(fileURLToPath(entry)), files: sources };
  return { hash: createHash('sha256').update(JSON.stringify(content)).digest('hex'), ...content };
}

function commonFolder(paths: readonly string[]): string {
  const [first = '', ...others] = paths.map(dirname);
  let folder = first;
  while (others.some((other) => relative(folder, other).startsWith('..'))) folder = dirname(folder);
  return folder;
}

/** Where the job's own code threw, or where it cannot be parsed. */
function placeOf(thrown: unknown, path: string): string {
  if (unparsed !== null) return unparsed;
  const stack = thrown instanceof Error ? (thrown.stack ?? '') : '';
  for (const [, url = '', line = '', column] of stack.matchAll(/(file:\/\/[^\s()]+?):(\d+)(?::(\d+))?/g))
    if (files.has(url)) return `${shown(fileURLToPath(url))}:${line}${column === undefined ? '' : `:${column}`}`;
  return shown(path);
}

function sentenceOf(thrown: unknown): string {
  const [first = ''] = messageOf(thrown).split('\n');
  return thrown instanceof Error && thrown.name !== 'Error' ? `${thrown.name}: ${first}` : first;
}

function lineOfImport(url: string, specifier: string): number {
  const lines = readFileSync(fileURLToPath(url), 'utf8').split('\n');
  return (
    Math.max(
      0,
      lines.findIndex((line) => line.includes(`'${specifier}'`) || line.includes(`"${specifier}"`)),
    ) + 1
  );
}

/** A job may hold what JSON does not. */
function textOf(result: EvaluatedJob, path: string): string {
  try {
    return JSON.stringify(result);
  } catch (error) {
    return JSON.stringify({ kind: 'failed', message: `${shown(path)} ${sentenceOf(error)}` } satisfies EvaluatedJob);
  }
}

function shown(path: string): string {
  const short = relative(process.cwd(), path);
  return short.startsWith('..') ? path : short;
}

const path = process.argv[2];
if (path !== undefined) {
  const result = await evaluate(path);
  const bytes = Buffer.from(textOf(result, path));
  for (let at = 0; at < bytes.length;) at += writeSync(RESULT_FD, bytes, at);
  // Timers and sockets that the file left open are nobody's.
  process.exit(0);
}
