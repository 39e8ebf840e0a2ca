/** Following what a cluster tells until somebody stops it: a master that dies is no end, another one takes over. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isWeirError } from '../core/errors.ts';
import type { MasterClient } from './client.ts';
import { tell } from './output.ts';

const PAUSE_MS = 300;
/** No master answers for so long: then it is an error. */
const PATIENCE_MS = 30_000;

export interface Following {
  readonly onEvent: (data: unknown) => void;
  /**
   * The stream has begun, for the first time or again: what was missed can be asked for. When that fails, it is as if
   * the stream had broken. The one of a stream that broke may still go on when the next one begins.
   */
  readonly onOpen: () => Promise<void>;
}

/** Returns when the signal aborts. Throws what asking a master throws, when it does not get better. */
export async function keepFollowing(
  client: MasterClient,
  path: string,
  { onEvent, onOpen }: Following,
  signal: AbortSignal,
): Promise<void> {
  let wasOpen = false;
  let brokenAt: number | null = null;
  const opened = async (): Promise<void> => {
    await onOpen();
    brokenAt = null;
  };
  while (!signal.aborted) {
    const broken = new AbortController();
    let opening: Promise<void> | undefined;
    try {
      await client.follow(path, onEvent, AbortSignal.any([signal, broken.signal]), () => {
        if (wasOpen) tell('connected again');
        wasOpen = true;
        opening = opened();
        // The stream ends, and what went wrong is thrown below.
        opening.catch(() => broken.abort());
      });
      await opening;
    } catch (error) {
      if (signal.aborted) return;
      // A master that was never there is no connection that broke.
      if (!wasOpen || !isWeirError(error, 'MASTER_UNREACHABLE')) throw error;
      brokenAt ??= performance.now();
      if (performance.now() - brokenAt > PATIENCE_MS) throw error;
    }
    await sleep(PAUSE_MS, undefined, { signal }).catch(() => undefined);
  }
}
