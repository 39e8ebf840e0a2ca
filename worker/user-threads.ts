/**
 * Threads of one job whose plan has code: what its functions do there stays there. A call that outlives its deadline ends
 * its thread, and with it the state that lives in it: from then on every call fails as that one did, until the job is
 * opened anew.
 */
import { setTimeout } from 'node:timers/promises';
import { Piscina } from 'piscina';
import { must } from '../core/assert.ts';
import { messageOf, WeirError } from '../core/errors.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import type { ThreadReply, ThreadRequest } from './thread.ts';

/** JavaScript objects of a job's functions, MiB per thread. The state itself does not count: it is bytes. */
const HEAP_MIB_MAX = 512;
/** Of it, what may be young: functions make objects for every row. */
const YOUNG_MIB_MAX = 48;

interface UserThread {
  readonly pool: Piscina<ThreadRequest, ThreadReply>;
  /** Ends with the last call sent: the time of the next one counts from there. */
  last: Promise<unknown>;
}

export class UserThreads {
  readonly #job: string;
  readonly #threads: readonly UserThread[];
  /** Hosts that are open. */
  readonly keys = new Set<string>();
  #broken: WeirError | null = null;

  constructor(job: string, count: number, filename: string) {
    this.#job = job;
    this.#threads = Array.from({ length: count }, () => {
      const resourceLimits = { maxOldGenerationSizeMb: HEAP_MIB_MAX, maxYoungGenerationSizeMb: YOUNG_MIB_MAX };
      const options = { filename, minThreads: 1, maxThreads: 1, recordTiming: false, resourceLimits };
      const pool = new Piscina<ThreadRequest, ThreadReply>(options);
      // A thread that died answers by the call it died in.
      pool.on('error', () => undefined);
      return { pool, last: Promise.resolve() };
    });
  }

  get count(): number {
    return this.#threads.length;
  }

  /** Why the threads answer no more; null = they do. */
  get broken(): WeirError | null {
    return this.#broken;
  }

  /**
   * Sends a request, to be answered within so many ms of computing (null = whenever). Throws: USER_CODE_TIMEOUT,
   * USER_CODE_FAILED when the thread died of it.
   */
  async ask(thread: number, request: ThreadRequest, deadlineMs: number | null): Promise<ThreadReply> {
    const to = must(this.#threads[thread], () => `there is no thread ${thread}`);
    const turn = to.last;
    const answer = (async () => {
      await turn;
      return await this.#run(to, request, deadlineMs);
    })();
    to.last = answer.catch(() => undefined);
    return await answer;
  }

  async #run(thread: UserThread, request: ThreadRequest, deadlineMs: number | null): Promise<ThreadReply> {
    if (this.#broken !== null) throw this.#broken;
    const deadline = deadlineMs === null ? null : new AbortController();
    const ended = new AbortController();
    if (deadline !== null && deadlineMs !== null)
      void watch(thread.pool, deadlineMs, ended.signal).then((isOver) => isOver && deadline.abort());
    try {
      return await thread.pool.run(request, deadline === null ? {} : { signal: deadline.signal });
    } catch (error) {
      this.#broken ??=
        deadline?.signal.aborted === true
          ? new WeirError(
              'USER_CODE_TIMEOUT',
              `The functions of job ${this.#job} computed longer than their deadline of ${deadlineMs} ms for the rows of one epoch; ` +
                'their thread was ended. Mend what loops, take smaller epochs (maxOffsetsPerTrigger) or raise keyedState.deadline.',
              { facts: { job: this.#job, deadlineMs } },
            )
          : new WeirError(
              'USER_CODE_FAILED',
              `The functions of job ${this.#job} ended their thread: ${messageOf(error)}.`,
              { cause: error, facts: { job: this.#job } },
            );
      throw this.#broken;
    } finally {
      ended.abort();
    }
  }

  /** Ends the threads, whatever they do. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.pool.destroy()));
  }
}

/** A thread that does not say how long it has computed, or does not get to it, is given up after so many deadlines. */
const WALL_DEADLINES_MAX = 10;

/**
 * True when the thread has computed for `deadlineMs` since now, false when the call has ended before. Its own CPU time
 * counts: on a machine that has no time for it, a call takes long and nothing is wrong with it.
 */
async function watch(pool: Piscina, deadlineMs: number, ended: AbortSignal): Promise<boolean> {
  const step = deadlineMs / 10;
  const sleep = (ms: number): Promise<boolean> =>
    setTimeout(ms, true, { signal: ended, ref: false }).catch(() => false);
  // Few calls take this long; the others are spared the question.
  if (!(await sleep(step))) return false;
  const before = (await cpuMs(pool, step)) ?? 0;
  for (let waited = step; waited < deadlineMs * WALL_DEADLINES_MAX;) {
    const used = step + (((await cpuMs(pool, step)) ?? before) - before);
    if (ended.aborted) return false;
    if (used >= deadlineMs) return true;
    const pause = Math.max(step, deadlineMs - used);
    if (!(await sleep(pause))) return false;
    waited += pause;
  }
  return true;
}

/** CPU time of the pool's only thread, ms; null when it is in code that cannot be asked. */
async function cpuMs(pool: Piscina, patienceMs: number): Promise<number | null> {
  const [thread] = pool.threads;
  if (thread === undefined) return null;
  const usage = thread.cpuUsage().then(({ user, system }) => (user + system) / 1000);
  usage.catch(() => undefined);
  return await Promise.race([usage, setTimeout(patienceMs, null, { ref: false })]).catch(() => null);
}

/** What the functions of a stage may compute for one epoch, ms; null = the stage runs none. */
export function deadlineOf(plan: EpochsPlan, stage: number): number | null {
  const found = plan.stages[stage];
  return found?.kind === 'state' && found.state.kind === 'user' ? found.state.deadlineMs : null;
}
