/** The code of jobs in this process or thread: what they import as `weir` is the SDK of this installation. */
import type { JobFunctions, ModuleSource, UserFunctions } from '../core/job/user-functions.ts';
import { loadUserJob, loadUserModule } from '../engine/user/load-module.ts';

/** Throws: USER_CODE_FAILED. */
export function loadModule(module: ModuleSource): Promise<UserFunctions> {
  return loadUserModule(module, sdkUrl());
}

/** All functions of a module. Throws: USER_CODE_FAILED. */
export function loadJob(module: ModuleSource): Promise<JobFunctions> {
  return loadUserJob(module, sdkUrl());
}

/** The SDK stands beside this folder: .ts in the checkout, .js when built. */
function sdkUrl(): string {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new URL(`../sdk/index.${extension}`, import.meta.url).href;
}
