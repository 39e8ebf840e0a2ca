/** Where compiled code is kept: by itself, since it is needed before anything else is loaded. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** Where Node keeps compiled code between starts; the launcher uses the same. */
export function compileCacheFolder(): string {
  return (
    process.env['NODE_COMPILE_CACHE'] ??
    join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'weir', 'compile')
  );
}
