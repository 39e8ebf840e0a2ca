/**
 * The contract between the event loop and the code that runs an epoch's stages in a thread or inline. A host holds the
 * compiled stages of one job and the state of the key groups that live in its thread. Everything that passes is plain
 * data and bytes; the same tasks on the same state give the same results, byte for byte, wherever they run.
 */
import type { RecordTimes } from '../../core/epoch/row-times.ts';
import type { LaneCounters } from '../../core/lane/position.ts';
import type { FieldDrift } from '../formats/field-drift.ts';
import type { WriterSchema } from '../formats/value-format.ts';
import type { LookedUp } from '../lookups/lookup-rows.ts';
import type { EpochsPlan } from '../plan/epoch-plan.ts';
import type { OperatorId } from '../plan/logical-plan.ts';
import type { SinkOutput, StageTask } from '../stage.ts';

/** What an epoch's plan fixes for all of its tasks. */
export interface EpochEnv {
  readonly run: number;
  readonly epoch: number;
  /** The plan's time, µs since 1970: what current_timestamp() gives. */
  readonly epochTsUs: number;
  /** Watermark of the epoch before: rows at or below it are late. µs; -Infinity = none yet. */
  readonly lateUs: number;
  /** Watermark of this epoch: what is at or below it is final. µs; -Infinity = none yet. */
  readonly evictUs: number;
  /** Write time of this attempt's sink rows, µs. */
  readonly writeTimeUs: number;
  /** µs below the write time that set the rows of tables apart (core/epoch/row-times.ts); absent = none. */
  readonly room?: number;
}

/** Where rows go: for each key group the index of a destination (a thread of a worker); 255 = nowhere. */
export interface Routing {
  /** KEY_GROUPS entries. */
  readonly destinationOf: Uint8Array;
  readonly destinationCount: number;
}
export const NO_DESTINATION = 255;

/** Rows on their way to a state stage, encoded as columns with the key group of each row (engine/epoch/frame.ts). */
export interface Frame {
  readonly stage: number;
  readonly port: number;
  readonly destination: number;
  readonly rowCount: number;
  readonly bytes: Uint8Array;
}

/** Fetched bytes and the table of the data batches in them, as in `StageTask` (stage.ts). */
export type TaskBytes = Pick<StageTask, 'bytes' | 'batches'>;

/**
 * Record batches of one partition, within the epoch's range. A range must be cut into tasks by its batches alone, the
 * same way for every attempt and replay: rows are aggregated within a task before they are sent, and sums of doubles
 * depend on what is added up first.
 */
export interface MapTask {
  readonly stage: number;
  readonly env: EpochEnv;
  readonly routing: Routing;
  readonly partition: number;
  /** Fetched bytes and the data batches in them, as in `StageTask` (stage.ts); base write times are not used. */
  readonly bytes: Uint8Array;
  readonly batches: Float64Array;
  /** What follows, where the batches of the task lie in several pieces of memory; absent = nothing. */
  readonly more?: readonly TaskBytes[];
  readonly fromOffset: number;
  readonly toOffset: number;
  readonly logPartitions: readonly number[];
  /** Write times of the range's records; absent = all have the attempt's. */
  readonly rowTimes?: RecordTimes;
  /** As in `StageTask`. */
  readonly schemas?: readonly WriterSchema[];
  /** Rows of the tables that the stage looks up, one entry per table, for the keys of the task's records. */
  readonly tables?: readonly LookedUp[];
  /** Absent = the task is a whole by itself. */
  readonly part?: RangePart;
}

/**
 * A task that goes on where the one before ended: rows are aggregated over all parts, and sent with the last. Only for
 * stages of `addsUpRanges` (range-parts.ts). Parts of one range run in their order and in one host.
 */
export interface RangePart {
  /** The same for all parts, and for no other range that the stage maps of the partition. */
  readonly range: string;
  readonly isFirst: boolean;
  readonly isLast: boolean;
}

/** What any task of an epoch gives. */
export interface TaskResult {
  readonly frames: readonly Frame[];
  /** One per sink of the plan, or none when no branch of the stage ends in the sinks. */
  readonly sinks: readonly SinkOutput[];
  readonly deadLetters: { readonly rowCount: number; readonly bytes: Uint8Array };
  readonly deadByReason: readonly number[];
  /** Greatest event time seen per watermark of the plan, µs; -Infinity = none. */
  readonly eventTimes: readonly number[];
  /** Rows dropped as late, by operator. */
  readonly late: Readonly<Record<OperatorId, number>>;
  /** Rows that went to the sinks. */
  readonly rowsOut: number;
}

export interface MapResult extends TaskResult {
  readonly counters: LaneCounters;
  readonly inputBytes: number;
  readonly timestampMsMin: number;
  readonly timestampMsMax: number;
  /** Set under onBadRecord: fail. */
  readonly failure: { readonly offset: number; readonly code: string; readonly place: string } | null;
  /** As in `StageResult`. */
  readonly drift?: readonly FieldDrift[];
}

/** Everything that one epoch brings to the key groups of one state stage in one thread: folded at once or not at all. */
export interface ReduceTask {
  readonly stage: number;
  readonly env: EpochEnv;
  readonly routing: Routing;
  /** In any order: frames name their senders, and are folded in the order of those. */
  readonly inputs: readonly { readonly port: number; readonly bytes: Uint8Array }[];
  readonly logPartitions: readonly number[];
}

export interface ReduceResult extends TaskResult {
  readonly state: StateFigures;
  /** Rows folded. */
  readonly rowsIn: number;
}

export interface StateFigures {
  /** Rows held, as Spark counts them: groups, sessions, keys, joined rows. */
  readonly rows: number;
  readonly bytes: number;
  readonly evicted: number;
}

/** One key group's state of one stage, as stored. */
export interface GroupState {
  readonly stage: number;
  readonly group: number;
  /** null = the group holds nothing. */
  readonly bytes: Uint8Array | null;
  /** Of a changed job: for each aggregate of the stage its place in `bytes`, -1 = it begins empty; absent = as stored. */
  readonly sections?: readonly number[];
}

/**
 * The stages and state of one job in one thread. Synchronous and without I/O. Throws: STATE_LIMIT when the state
 * outgrew its bound and, under onBadRecord: fail, the code of a row that failed behind a state operator (the state is
 * then to be dropped), BATCH_CORRUPT, UNSUPPORTED.
 */
export interface EpochHost {
  map(task: MapTask): MapResult;
  reduce(task: ReduceTask): ReduceResult;
  /** Folds again what was folded and written before, and gives the frames for the stages behind: nothing else of it is of use. */
  replay(task: ReduceTask): readonly Frame[];
  /** The groups whose state changed since they were last taken (all that hold something, with `all`), of every state stage. */
  takeChanged(all: boolean): GroupState[];
  /** Replaces a group's state; null empties it. Throws: STATE_DAMAGED when the bytes are not a state of this stage, STATE_INCOMPATIBLE. */
  restore(state: GroupState): void;
  /** Forgets everything held for these groups, in all stages. */
  drop(groups: readonly number[]): void;
  /** Gives a static table its rows (values as JSON carries them). */
  setStatic(name: string, rows: readonly (readonly unknown[])[]): void;
  figures(): { readonly rows: number; readonly bytes: number; readonly byStage: readonly StateFigures[] };
}

/**
 * Hosts of many jobs, in threads or inline. `key` names a host per thread: a job's run, or a scratch copy of it for a
 * replay. Calls for one key and thread run in the order they were made.
 */
export interface EpochExecutor {
  readonly threadCount: number;
  /** Compiles the plan in every thread. Throws what compiling throws. */
  openEpochs(key: string, plan: EpochsPlan): Promise<void>;
  closeEpochs(key: string): Promise<void>;
  /** Runs in the least loaded thread: map stages hold no state. The task's bytes belong to the executor from here on. */
  map(key: string, task: MapTask): Promise<MapResult>;
  reduce(key: string, thread: number, task: ReduceTask): Promise<ReduceResult>;
  /**
   * Maps again what was mapped before: one thread runs all tasks, and gives the frames of each. The tasks may share their
   * bytes, which belong to the executor from here on.
   */
  mapAgain(key: string, tasks: readonly MapTask[]): Promise<readonly (readonly Frame[])[]>;
  /** Folds epochs again, one after the other, and gives the frames of each. */
  replay(key: string, thread: number, tasks: readonly ReduceTask[]): Promise<readonly (readonly Frame[])[]>;
  takeChanged(key: string, thread: number, all: boolean): Promise<GroupState[]>;
  restore(key: string, thread: number, states: readonly GroupState[]): Promise<void>;
  drop(key: string, thread: number, groups: readonly number[]): Promise<void>;
  setStatic(key: string, name: string, rows: readonly (readonly unknown[])[]): Promise<void>;
}
