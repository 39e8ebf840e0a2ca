/** Many lives, in as many threads as there are processors: every life is a world of its own. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { LifeResult, LifeSettings } from './life.ts';

/** Lives make much garbage that dies young: a large nursery takes a good tenth off their time. */
const YOUNG_MIB = 64;

/** What a thread is asked for: one life at a time, so that long ones do not pile up in one thread. */
export interface LivesRequest {
  readonly seed: number;
  readonly settings: LifeSettings;
}

/** The answer: a life, or why there is none. */
export type LivesReply = { readonly result: LifeResult } | { readonly error: string };

/**
 * The lives of the seeds `[first, first + count)`, in this order. `each` hears of one as soon as it is over, in any
 * order. Throws what a life throws: that is a fault of the simulation itself.
 */
export async function lives(
  first: number,
  count: number,
  settings: LifeSettings,
  each: (result: LifeResult) => void = () => undefined,
): Promise<LifeResult[]> {
  const results = Array<LifeResult | undefined>(count);
  let next = 0;
  const runThread = async (): Promise<void> => {
    const thread = new Worker(new URL('./lives-thread.ts', import.meta.url), {
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
    try {
      while (next < count) {
        const index = next++;
        const result = await ask(thread, { seed: first + index, settings });
        results[index] = result;
        each(result);
      }
    } finally {
      await thread.terminate();
    }
  };
  const threads = Math.min(availableParallelism(), count);
  await Promise.all(Array.from({ length: threads }, runThread));
  return results.map((result, index) => {
    if (result === undefined) throw new Error(`seed ${first + index} was not run`);
    return result;
  });
}

function ask(thread: Worker, request: LivesRequest): Promise<LifeResult> {
  return new Promise((resolve, reject) => {
    const settle = (done: () => void): void => {
      thread.off('message', onMessage);
      thread.off('error', onError);
      done();
    };
    const onMessage = (reply: LivesReply): void =>
      settle(() =>
        'result' in reply ? resolve(reply.result) : reject(new Error(`seed ${request.seed}: ${reply.error}`)),
      );
    const onError = (error: unknown): void =>
      settle(() => reject(error instanceof Error ? error : new Error(String(error))));
    thread.on('message', onMessage);
    thread.on('error', onError);
    thread.postMessage(request);
  });
}
