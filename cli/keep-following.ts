/** Following what a cluster tells until somebody stops it: a master that dies is no end, another one takes over. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isWeirError } from '../core/errors.ts';
import type { MasterClient } from './client.ts';
import { tell } from './output.ts';

const PAUSE_MS = 300;
/** No master answers for so long: then it is an error. */
const PATIENCE_MS = 30_000;

export interface Following {
  readonly onEvent: (event: string, data: unknown) => void;
  /** The stream has begun, for the first time or again: what was missed can be asked for. */
  readonly onOpen?: () => Promise<void>;
  /** Of the last event that is known already. */
  readonly lastId?: string;
}

/** Returns when the signal aborts. Throws what asking a master throws, when it does not get better. */
export async function keepFollowing(
  client: MasterClient,
  path: string,
  { onEvent, onOpen, lastId: first }: Following,
  signal: AbortSignal,
): Promise<void> {
  let lastId = first;
  let wasOpen = false;
  let brokenAt: number | null = null;
  while (!signal.aborted) {
    let opening: Promise<void> | undefined;
    try {
      await client.follow(
        path,
        (event, data, id) => {
          lastId = id ?? lastId;
          onEvent(event, data);
        },
        signal,
        {
          lastId,
          onOpen: () => {
            if (wasOpen) tell('connected again');
            wasOpen = true;
            brokenAt = null;
            opening = onOpen?.();
            // Looked at when the stream has ended.
            opening?.catch(() => undefined);
          },
        },
      );
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
