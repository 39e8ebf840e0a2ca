/** The machine's own clock and chance, behind the ports of core/clock.ts. */
import { randomBytes, randomUUID } from 'node:crypto';
import type { Clock, Rng } from '../../core/clock.ts';

export const systemClock: Clock = {
  now: () => Date.now(),
  mono: () => performance.now(),
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) {
        reject(signal.reason as Error);
        return;
      }
      const stop = (): void => {
        clearTimeout(timeout);
        reject(signal?.reason as Error);
      };
      const timeout = setTimeout(() => {
        signal?.removeEventListener('abort', stop);
        resolve();
      }, ms);
      signal?.addEventListener('abort', stop, { once: true });
    });
  },
  timer(ms, fn) {
    if (ms <= 0) {
      const immediate = setImmediate(fn);
      return () => clearImmediate(immediate);
    }
    const timeout = setTimeout(fn, ms);
    return () => clearTimeout(timeout);
  },
};

export const systemRng: Rng = {
  u32: () => randomBytes(4).readUInt32LE(),
  uuid: () => randomUUID(),
  fork: () => systemRng,
};
