/** The event loop's side of the store's thread. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { WeirError } from '../../core/errors.ts';
import { errorOf } from './failure.ts';
import type { StoreCall, StoreMethod, StoreReply } from './store-thread.ts';
import type { EmbeddedStore } from './store.ts';

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class StoreHost {
  readonly #thread: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #broken: Error | undefined;

  private constructor(thread: Worker) {
    this.#thread = thread;
    thread.on('message', (reply: StoreReply) => {
      const waiting = this.#waiting.get(reply.id);
      this.#waiting.delete(reply.id);
      if (reply.failure === undefined) waiting?.resolve(reply.value);
      else waiting?.reject(errorOf(reply.failure));
    });
    thread.on('error', (error) => this.#break(error));
    thread.on('exit', () => this.#break(closed()));
  }

  /** Throws: DATA_DIR_IN_USE, VERSION_MISMATCH, DISK_FULL. */
  static async start(dir: string | null): Promise<StoreHost> {
    const url = new URL(`./store-thread${extname(import.meta.url)}`, import.meta.url);
    // node:sqlite announces itself as experimental; people who type `npm start` need not read that.
    const thread = new Worker(url, { workerData: { dir }, execArgv: ['--disable-warning=ExperimentalWarning'] });
    const host = new StoreHost(thread);
    try {
      await new Promise((resolve, reject) => host.#waiting.set(0, { resolve, reject }));
    } catch (error) {
      await thread.terminate();
      throw error;
    }
    return host;
  }

  /** Calls a method of the store. `rows` = rows it writes; `transfer` = buffers that need not be copied. */
  call<M extends StoreMethod>(
    method: M,
    args: Parameters<EmbeddedStore[M]>,
    options: { readonly rows?: number; readonly transfer?: readonly ArrayBuffer[] } = {},
  ): Promise<ReturnType<EmbeddedStore[M]>> {
    return this.#send(method, args, options.rows ?? 0, options.transfer ?? []) as Promise<ReturnType<EmbeddedStore[M]>>;
  }

  /** Finishes what was called and closes the database. What is called from now on is refused. */
  async close(): Promise<void> {
    const done = this.#send('close', [], 0, []);
    this.#broken ??= closed();
    await done;
    await this.#thread.terminate();
  }

  #send(
    method: StoreCall['method'],
    args: readonly unknown[],
    rows: number,
    transfer: readonly ArrayBuffer[],
  ): Promise<unknown> {
    if (this.#broken !== undefined) return Promise.reject(this.#broken);
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#thread.postMessage({ id, method, args, rows } satisfies StoreCall, [...transfer]);
    });
  }

  #break(error: Error): void {
    this.#broken ??= error;
    for (const waiting of this.#waiting.values()) waiting.reject(error);
    this.#waiting.clear();
  }
}

function closed(): WeirError {
  return new WeirError('STORE_UNAVAILABLE', 'The tables of the embedded process are closed.');
}
