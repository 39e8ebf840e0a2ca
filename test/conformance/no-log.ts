/** A Log that keeps nothing, for tests. */
import type { Log } from '../../core/ports.ts';

export const noLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => noLog,
};
