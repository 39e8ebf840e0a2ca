/**
 * The thread of an {@link EmbeddedStore}: SQLite is synchronous, and its commits must not hold up the fetches of the
 * event loop. Calls that arrive while a transaction is being committed share the next one, so one fsync serves many.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { must } from '../../core/assert.ts';
import type { Failure } from '../../proto/gen/embedded.ts';
import { diskError } from './disk.ts';
import { failureOf } from './failure.ts';
import { EmbeddedStore } from './store.ts';

/** Methods of the store that may be called from outside; true = it writes. */
const storeMethods = {
  describeTable: false,
  createTable: true,
  writeRows: true,
  query: false,
  listJobs: false,
  readJob: false,
  casJob: true,
  putDefinition: true,
  getDefinition: false,
  writeLane: true,
  readLane: false,
  readLanes: false,
  readEpochs: false,
  casEpochs: true,
  readPlans: false,
  readLease: false,
  casLease: true,
  putSavepoint: true,
  getSavepoint: false,
  listSavepoints: false,
  deleteSavepoint: true,
  beginTransactions: true,
  isDecided: false,
  decide: true,
  journal: false,
  forgetJournal: true,
  putBlobChunk: true,
  getBlobChunk: false,
  claimBlobChunk: true,
  putBlobHeader: true,
  getBlobHeader: false,
  deleteBlob: true,
} as const satisfies { readonly [M in keyof EmbeddedStore]?: boolean };
export type StoreMethod = keyof typeof storeMethods;

export interface StoreCall {
  readonly id: number;
  readonly method: StoreMethod | 'close';
  readonly args: readonly unknown[];
  /** Rows it writes: what the size of a transaction is measured by. */
  readonly rows: number;
}

export interface StoreReply {
  /** 0 = about the start of the thread. */
  readonly id: number;
  readonly value?: unknown;
  readonly failure?: Failure;
}

/** Transactions end at so many rows, so that reads and metadata do not wait long behind blocks of rows. */
const TRANSACTION_ROWS_MAX = 2000;

const port = parentPort;
if (port !== null) void serve(port);

async function serve(port: NonNullable<typeof parentPort>): Promise<void> {
  const queue: StoreCall[] = [];
  let store: EmbeddedStore;
  try {
    store = new EmbeddedStore(await import('node:sqlite'), (workerData as { readonly dir: string | null }).dir);
  } catch (error) {
    port.postMessage({ id: 0, failure: failureOf(diskError(error, 'open its data directory')) } satisfies StoreReply);
    return;
  }
  port.on('message', (call: StoreCall) => {
    queue.push(call);
    while (queue.length > 0) {
      for (let more = receiveMessageOnPort(port); more !== undefined; more = receiveMessageOnPort(port))
        queue.push(more.message as StoreCall);
      const group = takeGroup(queue);
      if (group[0]?.method === 'close') {
        store.close();
        port.postMessage({ id: group[0].id } satisfies StoreReply);
        port.close();
        return;
      }
      for (const reply of answer(store, group)) port.postMessage(reply);
    }
  });
  port.postMessage({ id: 0 } satisfies StoreReply);
}

function takeGroup(queue: StoreCall[]): StoreCall[] {
  let rows = 0;
  let count = 0;
  for (; count < queue.length; count++) {
    const call = must(queue[count], () => 'a call');
    rows += call.rows;
    if (count > 0 && (rows > TRANSACTION_ROWS_MAX || call.method === 'close')) break;
    if (call.method === 'close') return queue.splice(0, 1);
  }
  return queue.splice(0, count);
}

/** Answers a group in one transaction. When one of it fails, each gets a transaction of its own. */
function answer(store: EmbeddedStore, group: readonly StoreCall[]): StoreReply[] {
  const writes = group.some((call) => call.method !== 'close' && storeMethods[call.method]);
  try {
    if (writes) store.begin();
    const replies = group.map((call) => ({ id: call.id, value: perform(store, call) }));
    if (writes) store.commit();
    return replies;
  } catch (error) {
    if (writes) store.rollback();
    if (group.length > 1) return group.flatMap((call) => answer(store, [call]));
    return group.map((call) => ({
      id: call.id,
      failure: failureOf(isSqliteError(error) ? diskError(error, `do ${call.method}`) : error),
    }));
  }
}

function perform(store: EmbeddedStore, call: StoreCall): unknown {
  const method = store[call.method] as (...args: readonly unknown[]) => unknown;
  return method.apply(store, call.args as unknown[]);
}

function isSqliteError(error: unknown): boolean {
  return error instanceof Error && (error as { readonly code?: unknown }).code === 'ERR_SQLITE_ERROR';
}
