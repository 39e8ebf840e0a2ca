/**
 * Loads a job's module into this thread. Its files stand under URLs of their own (`weir-job:///HASH/path`), so nothing is
 * read from a disk; they may import each other and `weir`, nothing else. The module is evaluated once per thread.
 */
import { registerHooks } from 'node:module';
import { messageOf, WeirError } from '../../core/errors.ts';
import type { JobFunctions, ModuleSource, UserFunctions } from '../../core/job/user-functions.ts';
import { JOB_SCHEME, placeOf } from './user-error.ts';

/** What modules export, by their hash. */
const modules = new Map<string, JobFunctions>();
/** Sources by URL. */
const sources = new Map<string, string>();
/** What `weir` is in the modules of this thread. */
let sdk: string | null = null;

/**
 * The functions of a module; at once when they were loaded before. `sdkUrl`: the SDK's file in this installation.
 *
 * Throws: USER_CODE_FAILED when the module cannot be evaluated or exports no job with functions.
 */
export async function loadUserModule(module: ModuleSource, sdkUrl: string): Promise<UserFunctions> {
  const { functions } = await loadUserJob(module, sdkUrl);
  if (typeof functions?.onRow === 'function') return functions;
  throw noFunctions(module);
}

/** All that a module exports for workers; as {@link loadUserModule}. */
export async function loadUserJob(module: ModuleSource, sdkUrl: string): Promise<JobFunctions> {
  const known = modules.get(module.hash);
  if (known !== undefined) return known;
  if (sdk === null) registerHooks({ resolve, load });
  sdk = sdkUrl;
  for (const { path, source } of module.files) sources.set(urlOf(module, path), source);
  let exported: unknown;
  try {
    const loaded = (await import(urlOf(module, module.entry))) as { readonly default?: unknown };
    exported = loaded.default;
  } catch (thrown) {
    const message = `The code of the job cannot be loaded, ${placeOf(module.entry, thrown)}: ${messageOf(thrown)}`;
    throw new WeirError('USER_CODE_FAILED', message, { cause: thrown });
  }
  const job = exported as Partial<JobFunctions> | undefined;
  if (job?.functions === undefined) throw noFunctions(module);
  const loaded: JobFunctions = { functions: job.functions, batches: job.batches ?? [] };
  modules.set(module.hash, loaded);
  return loaded;
}

function noFunctions({ entry }: ModuleSource): WeirError {
  return new WeirError(
    'USER_CODE_FAILED',
    `The module ${entry} of the job exports no job with functions; it needs "export default defineJob({ … })".`,
  );
}

function urlOf({ hash }: ModuleSource, path: string): string {
  return new URL(`${JOB_SCHEME}${hash}/${encodeURI(path)}`).href;
}

type Hooks = Parameters<typeof registerHooks>[0];

const resolve: NonNullable<Hooks['resolve']> = (specifier, context, next) => {
  if (specifier.startsWith(JOB_SCHEME)) return { url: specifier, format: 'module', shortCircuit: true };
  const { parentURL } = context;
  if (parentURL === undefined || !parentURL.startsWith(JOB_SCHEME)) return next(specifier, context);
  if (specifier === 'weir' && sdk !== null) return next(sdk, context);
  const url = /^\.{1,2}\//.test(specifier) ? new URL(specifier, parentURL).href : null;
  if (url === null || !sources.has(url))
    throw new WeirError('USER_CODE_FAILED', `code of a job imports 'weir' and its own files, not '${specifier}'`);
  return { url, format: 'module', shortCircuit: true };
};

const load: NonNullable<Hooks['load']> = (url, context, next) => {
  const source = sources.get(url);
  return source === undefined ? next(url, context) : { format: 'module', source, shortCircuit: true };
};
