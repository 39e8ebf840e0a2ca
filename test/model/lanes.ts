/**
 * The lane protocol as a model: one partition, two workers, a master that may move the lane or begin a new run at any
 * moment. Hostile on purpose: whatever was sent (sink writes, commits) may be applied at any later time, any number of
 * times, also when its sender is gone; workers may stop for any time; the master may accuse anyone.
 *
 * What the model keeps of the real thing: ownership with generations and the end of the former owner's right to send;
 * several writes in flight; commits of the acknowledged prefix into a max-register; the start position of a run, read
 * from the former run and made durable before anything is sent; write timestamps from the real core/lane/timestamps.ts.
 *
 * Checked in every state: all that a run has committed is in the sink, written by that run or a later one; a row keyed
 * by key is never older than what is committed; two records never tie.
 */
import { timeBatch } from '../../core/lane/timestamps.ts';
import type { LaneClock, RunTiming } from '../../core/lane/timestamps.ts';
import { offset, run as asRun, timestampUs } from '../../core/ids.ts';
import type { Model } from './explore.ts';

/** Each switch takes one mechanism away. */
export interface LaneMutations {
  /** The sink keeps what arrived last, whatever its timestamp. */
  readonly arrivalOrder?: boolean;
  /** Positions are committed when sent, not when acknowledged. */
  readonly commitBeforeAck?: boolean;
  /** Any acknowledged position is committed, not only the prefix. */
  readonly commitAnyAck?: boolean;
  /** Timestamps are the producers' times: no lower bound carried with the position. */
  readonly recordTimesOnly?: boolean;
  /** A second run writes at the times of the first. */
  readonly runsShareTimes?: boolean;
  /** A new run does not make its start position durable before it sends. */
  readonly startNotDurable?: boolean;
  /** A new owner begins while the former one still may send. */
  readonly noPermit?: boolean;
  /** The position is a plain register: the last write stays. */
  readonly plainRegister?: boolean;
}

export interface LaneModelBounds {
  /** Key of each record. */
  readonly keys: readonly number[];
  /** Producers' times of the records, ms; may go backwards. */
  readonly times: readonly number[];
  /** Times the lane is given to a worker, new runs included. */
  readonly generations: number;
  readonly runs: number;
  /** Records sent and not acknowledged. */
  readonly inFlight: number;
}

const WORKERS = 2;
/** Fields of a worker: generation, run, phase, start, acknowledged prefix, next to send, last commit sent. */
const WORKER_FIELDS = 7;
const IDLE = 0;
const WAITING = 1;
const STARTING = 2;
const RUNNING = 3;
const STRIDE = 8;

export function laneModel(bounds: LaneModelBounds, mutations: LaneMutations = {}): Model {
  const { keys, generations, runs, inFlight } = bounds;
  const records = keys.length;
  const keyCount = Math.max(...keys) + 1;
  // A write is known by (run, start of its sender's reading, record): its timestamp may depend on all three.
  const paths = runs * (records + 1);
  const pathOf = (run: number, start: number): number => (run - 1) * (records + 1) + start;
  const writeOf = (run: number, start: number, record: number): number => pathOf(run, start) * records + record;
  const times = writeTimes(bounds, mutations);

  let size = 0;
  const field = (count: number): number => {
    size += count;
    return size - count;
  };
  const GENERATION = field(1);
  const RUN = field(1);
  /** The newest generation that has begun to work: older ones have lost their right to send. */
  const BEGUN = field(1);
  /** Position + 1 of each run, 0 = no row; and the path of the write that set it. */
  const ROW = field(runs);
  const ROW_PATH = field(runs);
  const COMMITS_SENT = field(paths * (records + 1));
  const WRITES_SENT = field(paths * records);
  const APPLIED = field(paths * records);
  /** Write + 1 that each row shows. */
  const BY_KEY = field(keyCount);
  const BY_RECORD = field(records);
  /** 1 when two different records of one key met at the same time: their cells would mix. */
  const TIED = field(1);
  const WORKER = field(WORKERS * WORKER_FIELDS);

  const initial = new Uint8Array(size);
  initial[RUN] = 1;

  const at = (state: Uint8Array, index: number): number => state[index] as number;
  const wins = (write: number, shown: number): boolean =>
    shown === 0 || mutations.arrivalOrder === true || (times[write] as number) > (times[shown - 1] as number);

  const applyWrite = (state: Uint8Array, write: number): Uint8Array => {
    const after = state.slice();
    const record = write % records;
    const key = BY_KEY + (keys[record] as number);
    const shown = at(after, key) - 1;
    if (shown >= 0 && shown % records !== record && times[shown] === times[write]) after[TIED] = 1;
    if (wins(write, at(after, key))) after[key] = write + 1;
    if (wins(write, at(after, BY_RECORD + record))) after[BY_RECORD + record] = write + 1;
    after[APPLIED + write] = 1;
    return after;
  };

  /** Applied before, and would lose today: nothing changes. */
  const isStale = (state: Uint8Array, write: number): boolean => {
    const record = write % records;
    return (
      at(state, APPLIED + write) === 1 &&
      !wins(write, at(state, BY_RECORD + record)) &&
      !wins(write, at(state, BY_KEY + (keys[record] as number)))
    );
  };

  const applyCommit = (state: Uint8Array, path: number, position: number): Uint8Array => {
    const after = state.slice();
    const run = Math.floor(path / (records + 1));
    if (mutations.plainRegister === true || position + 1 > at(after, ROW + run)) {
      after[ROW + run] = position + 1;
      after[ROW_PATH + run] = path;
    }
    return after;
  };

  const step = (state: Uint8Array, emit: (label: () => string, after: Uint8Array) => void): void => {
    for (let write = 0; write < paths * records; write++) {
      if (at(state, WRITES_SENT + write) === 1 && !isStale(state, write))
        emit(() => `the sink applies ${writeText(write)}`, applyWrite(state, write));
    }
    for (let path = 0; path < paths; path++) {
      for (let position = 0; position <= records; position++) {
        if (at(state, COMMITS_SENT + path * (records + 1) + position) === 0) continue;
        if (mutations.plainRegister !== true && position < at(state, ROW + Math.floor(path / (records + 1)))) continue;
        emit(() => `position ${position} of ${pathText(path)} is stored`, applyCommit(state, path, position));
      }
    }
    for (let worker = 0; worker < WORKERS; worker++) {
      assign(state, worker, emit);
      work(state, worker, emit);
    }
  };

  const assign = (state: Uint8Array, worker: number, emit: (label: () => string, after: Uint8Array) => void): void => {
    if (at(state, GENERATION) >= generations) return;
    const give = (run: number): Uint8Array => {
      const after = state.slice();
      const base = WORKER + worker * WORKER_FIELDS;
      const generation = at(after, GENERATION) + 1;
      after[GENERATION] = generation;
      after[RUN] = run;
      after.fill(0, base, base + WORKER_FIELDS);
      after[base] = generation;
      after[base + 1] = run;
      after[base + 2] = WAITING;
      return after;
    };
    const run = at(state, RUN);
    emit(() => `worker ${worker} is given the lane, run ${run}`, give(run));
    if (run < runs && at(state, GENERATION) > 0)
      emit(() => `run ${run + 1} begins, worker ${worker} is given the lane`, give(run + 1));
  };

  const work = (state: Uint8Array, worker: number, emit: (label: () => string, after: Uint8Array) => void): void => {
    const base = WORKER + worker * WORKER_FIELDS;
    const [generation, run, phase, start, prefix, next, committed] = [0, 1, 2, 3, 4, 5, 6].map((index) =>
      at(state, base + index),
    ) as [number, number, number, number, number, number, number];
    if (phase === IDLE) return;
    if (generation < at(state, BEGUN) && mutations.noPermit !== true) return;
    const path = pathOf(run, start);
    const change = (label: () => string, edit: (after: Uint8Array) => void): void => {
      const after = state.slice();
      edit(after);
      emit(label, after);
    };
    if (phase === WAITING) {
      change(
        () => `worker ${worker} begins generation ${generation}`,
        (after) => {
          after[BEGUN] = Math.max(at(after, BEGUN), generation);
          const own = at(after, ROW + run - 1);
          const former = run > 1 ? at(after, ROW + run - 2) : 0;
          const position = own > 0 ? own - 1 : Math.max(0, former - 1);
          // A position carries its time bound: a reader goes on along the path that set it.
          after[base + 3] = own > 0 ? at(after, ROW_PATH + run - 1) % (records + 1) : position;
          after[base + 4] = after[base + 5] = after[base + 6] = position;
          const durable = own > 0 || mutations.startNotDurable === true;
          after[base + 2] = durable ? RUNNING : STARTING;
          if (!durable) after[COMMITS_SENT + pathOf(run, position) * (records + 1) + position] = 1;
        },
      );
      return;
    }
    if (phase === STARTING) {
      // Acknowledged: the register holds this position or a later one.
      if (at(state, ROW + run - 1) >= prefix + 1) {
        change(
          () => `worker ${worker} starts at ${prefix}`,
          (after) => {
            after[base + 2] = RUNNING;
          },
        );
      }
      return;
    }
    if (next < records && next - prefix < inFlight) {
      change(
        () => `worker ${worker} sends ${writeText(writeOf(run, start, next))}`,
        (after) => {
          after[WRITES_SENT + writeOf(run, start, next)] = 1;
          after[base + 5] = next + 1;
        },
      );
    }
    const acknowledged = (record: number): boolean =>
      mutations.commitBeforeAck === true || at(state, APPLIED + writeOf(run, start, record)) === 1;
    if (prefix < next && acknowledged(prefix)) {
      change(
        () => `worker ${worker} has everything below ${prefix + 1} acknowledged`,
        (after) => {
          after[base + 4] = prefix + 1;
        },
      );
    }
    const commit = (position: number): void =>
      change(
        () => `worker ${worker} sends position ${position}`,
        (after) => {
          after[COMMITS_SENT + path * (records + 1) + position] = 1;
          after[base + 6] = position;
        },
      );
    if (prefix > committed) commit(prefix);
    if (mutations.commitAnyAck === true) {
      for (let record = prefix + 1; record < next; record++)
        if (acknowledged(record) && record + 1 > committed) commit(record + 1);
    }
  };

  const check = (state: Uint8Array): string | null => {
    if (at(state, TIED) === 1) return 'two records of one key were written at the same time';
    for (let run = 1; run <= runs; run++) {
      const position = at(state, ROW + run - 1) - 1;
      if (position < 0) continue;
      const start = at(state, ROW_PATH + run - 1) % (records + 1);
      for (let record = start; record < position; record++) {
        const shown = at(state, BY_RECORD + record);
        if (shown === 0) return `record ${record} is below the position of run ${run} and not in the sink`;
        if (runOf(shown - 1) < run)
          return `record ${record} is committed by run ${run}, the sink shows ${writeText(shown - 1)}`;
        const latest = at(state, BY_KEY + (keys[record] as number)) - 1;
        if (latest < 0) return `key ${keys[record]} is not in the sink`;
        if (olderThan(latest, run, record)) {
          return `run ${run} has committed record ${record}, key ${keys[record]} shows the older ${writeText(latest)}`;
        }
      }
    }
    return null;
  };

  /** A later run may show an earlier record again; a former run's later record stays until this run gets there. */
  const olderThan = (write: number, run: number, record: number): boolean => {
    const shown = write % records;
    return shown < record ? runOf(write) <= run : shown === record && runOf(write) < run;
  };
  const runOf = (write: number): number => Math.floor(write / records / (records + 1)) + 1;
  const writeText = (write: number): string =>
    `record ${write % records} of ${pathText(Math.floor(write / records))} at time ${times[write]}`;
  const pathText = (path: number): string => `run ${Math.floor(path / (records + 1)) + 1} from ${path % (records + 1)}`;

  return {
    initial,
    next: step,
    check,
    settled: (state) => at(state, GENERATION) === generations && at(state, ROW + at(state, RUN) - 1) === records + 1,
  };
}

/** Timestamp of every (run, start, record), by the functions the lanes use. */
function writeTimes(bounds: LaneModelBounds, mutations: LaneMutations): number[] {
  const { keys, times, runs } = bounds;
  const records = keys.length;
  const result: number[] = [];
  let former: number[] = new Array<number>(records + 1).fill(0);
  for (let run = 1; run <= runs; run++) {
    const timing: RunTiming = {
      run: asRun(mutations.runsShareTimes === true ? 1 : run),
      stride: STRIDE,
      runStart: timestampUs(0),
      ordinal: 1,
      ignoreRecordTimes: false,
    };
    const boundsAtStart: number[] = [];
    for (let start = 0; start <= records; start++) {
      const startBound =
        run === 1 || mutations.runsShareTimes === true
          ? (former[start] as number)
          : (former[start] as number) + 2 * STRIDE;
      let clock: LaneClock = { bound: timestampUs(startBound) };
      for (let record = 0; record < records; record++) {
        if (record < start) {
          result.push(-1);
          continue;
        }
        const bound = mutations.recordTimesOnly === true ? { bound: timestampUs(0) } : clock;
        const timed = timeBatch(timing, bound, {
          baseOffset: offset(record),
          nextOffset: offset(record + 1),
          maxTimestampMs: times[record] as number,
        });
        result.push(timed.base);
        clock = timed.clock;
        if (start === 0) boundsAtStart[record + 1] = clock.bound;
      }
      if (start === 0) boundsAtStart[0] = startBound;
    }
    // Later runs begin from the positions of a run that read from the beginning, the only kind the first run has.
    former = boundsAtStart;
  }
  return result;
}
