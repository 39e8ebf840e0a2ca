/**
 * What user code and the engine say to each other: state handles, the context of a call, and the functions of a
 * keyed-state operator. Rows are objects by column name. BIGINT is a bigint, DECIMAL a text (`'12.50'`), DATE a text
 * (`'2024-05-01'`), TIMESTAMP a number of ms since 1970 (µs as fractions, exact from 1830 to 2109), BINARY a Uint8Array,
 * MAP a Map, STRUCT an object; NULL is null. All calls are synchronous.
 */

/** One row at most per key. `Given`: what is taken as a row of it. */
export interface ValueState<T, Given = T> {
  /** The value, of the caller's own: changing it changes no state. null = there is none. */
  get(): T | null;
  /** Throws TypeError for a value that does not fit the schema. */
  set(value: Given): void;
  clear(): void;
}

/** Rows in the order in which they were added. */
export interface ListState<T, Given = T> {
  get(): T[];
  readonly length: number;
  /** Throws TypeError for a row that does not fit the schema. */
  append(value: Given): void;
  /** Replaces the whole list. */
  set(values: readonly Given[]): void;
  clear(): void;
}

/** Rows by a key within the key, in the order in which those came. */
export interface MapState<K, V, Given = V> {
  get(key: K): V | null;
  has(key: K): boolean;
  /** Throws TypeError for a key or value that does not fit. */
  set(key: K, value: Given): void;
  delete(key: K): void;
  keys(): K[];
  entries(): [K, V][];
  readonly size: number;
  clear(): void;
}

/** What a call may do besides its state. Times are ms since 1970. */
export interface UserContext<Output> {
  /** Hands a row on. Throws TypeError for one that does not fit the output schema. */
  emit(row: Output): void;
  /**
   * Calls onTimer for this key when the time has come: when the watermark has passed it, or the epoch's time with
   * processing time. A timer of the same key and time is there once. One that is due already fires at the end of the
   * epoch, or of the next one when onTimer or onExpire sets it.
   */
  registerTimer(timeMs: number): void;
  deleteTimer(timeMs: number): void;
  /** Times of this key's timers, ascending. */
  timers(): number[];
  /** What is at or below it is final; null = no watermark yet. */
  readonly currentWatermark: number | null;
  /** Time of the epoch's plan: the same whenever the epoch is computed again. Use it in place of a clock. */
  readonly epochTime: number;
  /** A number in [0, 1) from a seed that the plan fixes: the same whenever the call is made again. */
  random(): number;
}

/** The functions of a keyed-state operator as the engine calls them. */
export interface UserFunctions {
  readonly onRow: (row: unknown, state: unknown, context: UserContext<unknown>) => unknown;
  readonly onTimer?: (key: unknown, timeMs: number, state: unknown, context: UserContext<unknown>) => unknown;
  readonly onExpire?: (key: unknown, state: unknown, context: UserContext<unknown>) => unknown;
}

/** Which rows a call of a forEachBatch function is about. The same rows come under the same names, whoever calls. */
export interface BatchInfo {
  readonly job: string;
  /** Grows with every explicit start and every change of the job. */
  readonly run: number;
  /** The epoch: consecutive within the run, never reused (Spark's batchId). */
  readonly batchId: number;
  /** Of the batch: a partition of a source, or a key group of a stage with state. A batch is a call for each of its parts. */
  readonly part: string;
  /** All of them as one text. */
  readonly id: string;
  /** Of the epoch's plan, ms since 1970: the same whenever the batch is called. */
  readonly time: number;
}

/** A forEachBatch function as the worker calls it. */
export type BatchFunction = (rows: readonly unknown[], batch: BatchInfo) => unknown;

/** What a job's module exports, as far as workers use it. */
export interface JobFunctions {
  readonly functions: UserFunctions | null;
  /** By sink; null or absent = the sink is none. */
  readonly batches?: readonly (BatchFunction | null)[];
}

/** A job's module: sources without types, by path; `entry` exports the job by default. */
export interface ModuleSource {
  /** SHA-256 of the rest, hex. */
  readonly hash: string;
  readonly entry: string;
  readonly files: readonly { readonly path: string; readonly source: string }[];
}
