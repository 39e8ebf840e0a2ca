/** One compute thread of a worker: what is asked of it is done in the order in which it was asked. */
import { getCompileCacheDir } from 'node:module';
import { dirname } from 'node:path';
import { Piscina } from 'piscina';
import { WeirError } from '../core/errors.ts';
import type { ThreadReply, ThreadRequest } from './thread.ts';

/** Of a thread's heap. Its data are in typed columns outside of it; what is left dies young, and 48 MB would only fill up. */
const YOUNG_GENERATION_MB = 6;

/** Told after every answer: ms it took, without waiting for those before it. */
export type OnAnswer = (request: ThreadRequest, ms: number) => void;

export class ComputeThread {
  readonly #filename: string;
  readonly #onAnswer: OnAnswer;
  #pool: Piscina<ThreadRequest, ThreadReply> | undefined;
  #waitingBytes = 0;
  /** Until what was asked last is answered. */
  #last: Promise<void> = Promise.resolve();
  /** Monotonic ms of its last answer; 0 = it has not answered yet. */
  #freeAt = 0;

  /** `filename`: the URL of thread.ts, or of thread.js when built. Nothing is started yet. */
  constructor(filename: string, onAnswer: OnAnswer) {
    this.#filename = filename;
    this.#onAnswer = onAnswer;
  }

  /** Bytes of tasks sent and not answered. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** False while it may still be loading its code. */
  get hasAnswered(): boolean {
    return this.#freeAt > 0;
  }

  /** Loads its code in the background; the first request does it too. */
  start(): void {
    this.#started();
  }

  /** Sends a request; an error in the thread is thrown here with its code. */
  async ask(request: ThreadRequest, transferList: ArrayBuffer[] = []): Promise<ThreadReply> {
    const sentAt = performance.now();
    // Piscina lets a task overtake one that it had looked at while the thread was busy.
    const before = this.#last;
    const answer = Promise.withResolvers<void>();
    this.#last = answer.promise;
    await before;
    try {
      return answered(await this.#started().run(request, { transferList }));
    } finally {
      answer.resolve();
      const now = performance.now();
      this.#onAnswer(request, now - Math.max(sentAt, this.#freeAt));
      this.#freeAt = now;
    }
  }

  /** As {@link ask}; the thread counts as busy with so many bytes until the answer comes. */
  async askLoaded(request: ThreadRequest, size: number, transferList: ArrayBuffer[] = []): Promise<ThreadReply> {
    this.#waitingBytes += size;
    try {
      return await this.ask(request, transferList);
    } finally {
      this.#waitingBytes -= size;
    }
  }

  /** Ends it once its tasks are done. */
  async close(): Promise<void> {
    await this.#pool?.close();
  }

  #started(): Piscina<ThreadRequest, ThreadReply> {
    this.#pool ??= new Piscina<ThreadRequest, ThreadReply>({
      filename: this.#filename,
      minThreads: 1,
      maxThreads: 1,
      recordTiming: false,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
      env: threadEnv(),
    });
    return this.#pool;
  }
}

/** A thread does not know of its process's cache of compiled code; without it, loading costs three times as much. */
function threadEnv(): NodeJS.ProcessEnv {
  const folder = getCompileCacheDir();
  // The cache adds a folder for the version of Node to the one it was given.
  return folder === undefined ? process.env : { ...process.env, NODE_COMPILE_CACHE: dirname(folder) };
}

/** The reply, or what it tells of an error, thrown. */
export function answered(reply: ThreadReply): ThreadReply {
  if (reply.kind !== 'error') return reply;
  if (reply.code !== null) throw new WeirError(reply.code, reply.message, { facts: reply.facts });
  const error = new Error(reply.message);
  error.name = reply.name;
  error.stack = reply.stack;
  throw error;
}
