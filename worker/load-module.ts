/** The code of jobs in this process or thread: what they import as `weir` is the SDK of this installation. */
import type { ModuleSource, UserFunctions } from '../core/job/user-functions.ts';
import { loadUserModule } from '../engine/user/load-module.ts';

/** Throws: USER_CODE_FAILED. */
export function loadModule(module: ModuleSource): Promise<UserFunctions> {
  // The SDK stands beside this folder: .ts in the checkout, .js when built.
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return loadUserModule(module, new URL(`../sdk/index.${extension}`, import.meta.url).href);
}
