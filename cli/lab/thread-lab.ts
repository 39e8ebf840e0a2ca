/**
 * A lab in a thread of its own, bounded in time and memory: what a user's query or a damaged record does there can end
 * the thread, never the master. It is started with the first request and ends when nobody asked for a while.
 */
import { Worker } from 'node:worker_threads';
import { WeirError } from '../../core/errors.ts';
import type { JobPlan } from '../../engine/plan/job-plan.ts';
import type { DecodedRecord, Lab, LogPiece, SampleRecord, SampleRows, TapPlace } from '../../master/lab.ts';
import type { LabReply, LabRequest } from './thread.ts';

export interface ThreadLabOptions {
  /** For one request, ms. */
  readonly limitMs?: number;
}

const LIMIT_MS = 10_000;
const IDLE_MS = 30_000;
const HEAP_MB_MAX = 256;
/** Requests that may wait. */
const QUEUE_MAX = 32;

export class ThreadLab implements Lab {
  readonly #limitMs: number;
  #thread: Worker | null = null;
  #queue: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #idle: NodeJS.Timeout | null = null;

  constructor({ limitMs = LIMIT_MS }: ThreadLabOptions = {}) {
    this.#limitMs = limitMs;
  }

  decode(
    pieces: readonly LogPiece[],
    { bytesMax, limit }: { readonly bytesMax: number; readonly limit: number },
  ): Promise<DecodedRecord[]> {
    return this.#ask({ kind: 'decode', pieces, bytesMax, limit }) as Promise<DecodedRecord[]>;
  }

  run(plan: JobPlan, pieces: readonly LogPiece[], at: TapPlace | null, limit: number): Promise<SampleRows> {
    return this.#ask({ kind: 'run', plan, pieces, at, limit }) as Promise<SampleRows>;
  }

  runRecords(
    plan: JobPlan,
    records: Readonly<Record<string, readonly SampleRecord[]>>,
    at: TapPlace | null,
    limit: number,
  ): Promise<SampleRows> {
    return this.#ask({ kind: 'runRecords', plan, records, timeMs: Date.now(), at, limit }) as Promise<SampleRows>;
  }

  async close(): Promise<void> {
    if (this.#idle !== null) clearTimeout(this.#idle);
    const thread = this.#thread;
    this.#thread = null;
    await thread?.terminate();
  }

  #ask(request: LabRequest): Promise<unknown> {
    if (this.#waiting >= QUEUE_MAX)
      throw new WeirError(
        'TIMED_OUT',
        `The master has ${QUEUE_MAX} looks into records to make already; try again later.`,
      );
    this.#waiting += 1;
    const result = this.#queue.then(() => this.#run(request));
    this.#queue = result.then(
      () => undefined,
      () => undefined,
    );
    return result.finally(() => (this.#waiting -= 1));
  }

  async #run(request: LabRequest): Promise<unknown> {
    if (this.#idle !== null) clearTimeout(this.#idle);
    const thread = (this.#thread ??= startThread());
    const answered = Promise.withResolvers<LabReply>();
    const onExit = (): void => answered.resolve({ code: 'TIMED_OUT', message: 'It took more memory than allowed.' });
    const onError = (error: Error): void => answered.resolve({ code: 'INTERNAL', message: error.message });
    thread.once('message', answered.resolve);
    thread.once('exit', onExit);
    thread.once('error', onError);
    const timer = setTimeout(
      () => answered.resolve({ code: 'TIMED_OUT', message: `It took longer than the ${this.#limitMs} ms allowed.` }),
      this.#limitMs,
    );
    thread.postMessage(request);
    const reply = await answered.promise;
    clearTimeout(timer);
    for (const [event, listener] of [
      ['message', answered.resolve],
      ['exit', onExit],
      ['error', onError],
    ] as const)
      thread.off(event, listener);
    this.#idle = setTimeout(() => void this.close(), IDLE_MS);
    this.#idle.unref();
    if ('value' in reply) return reply.value;
    // A thread that is late or gone answers nothing more that anybody waits for.
    if (reply.code === 'TIMED_OUT' || reply.code === 'INTERNAL') await this.close();
    throw new WeirError(reply.code, reply.message);
  }
}

function startThread(): Worker {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const thread = new Worker(new URL(`./thread.${extension}`, import.meta.url), {
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX },
    env: {},
  });
  thread.unref();
  return thread;
}
