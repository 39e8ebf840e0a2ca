/**
 * Executors for simulated workers. The small one knows just the job under test: it decodes record batches on its own and
 * writes rows, so that the simulation does not depend on the engine and the two can be held against each other.
 */
import type { Clock } from '../../core/clock.ts';
import { deadLetterReasons } from '../../core/errors.ts';
import { ROW_HEADER_BYTES } from '../../core/row-block.ts';
import { DEAD_LETTER_BUCKET_OFFSETS } from '../../engine/dead-letters.ts';
import type { EpochExecutor } from '../../engine/epoch/contract.ts';
import { InlineExecutor } from '../../engine/inline-executor.ts';
import type { StagePlan } from '../../engine/plan/stage-plan.ts';
import type { Executor, StageResult, StageTask } from '../../engine/stage.ts';
import { BATCH_STRIDE } from '../../engine/stage.ts';
import { FILTER_MODULUS } from '../support/generator.ts';
import type { SimRng } from './rng.ts';
import { revColumnOf, simSinks } from './sim-job.ts';

/** Puts the time a thread would take between a task and its result. */
export function delayed(executor: Executor & EpochExecutor, clock: Clock, rng: SimRng): Executor & EpochExecutor {
  const pause = (): Promise<void> => clock.sleep(rng.chance(0.05) ? rng.unit() * 200 : rng.unit() * 3);
  const after = async <T>(result: Promise<T>): Promise<T> => {
    const value = await result;
    await pause();
    return value;
  };
  /** Answers of one thread come in the order of its tasks. */
  const threads = new Map<string, Promise<unknown>>();
  const inOrder = <T>(key: string, thread: number, run: () => Promise<T>): Promise<T> => {
    const name = `${key} ${thread}`;
    const result = (threads.get(name) ?? Promise.resolve()).then(() => after(run()));
    threads.set(
      name,
      result.catch(() => undefined),
    );
    return result;
  };
  return {
    threadCount: executor.threadCount,
    openEpochs: (key, plan) => executor.openEpochs(key, plan),
    closeEpochs: (key) => executor.closeEpochs(key),
    map: (key, task) => after(executor.map(key, task)),
    reduce: (key, thread, task) => inOrder(key, thread, () => executor.reduce(key, thread, task)),
    mapAgain: (key, tasks) => after(executor.mapAgain(key, tasks)),
    replay: (key, thread, tasks) => inOrder(key, thread, () => executor.replay(key, thread, tasks)),
    takeChanged: (key, thread, all) => inOrder(key, thread, () => executor.takeChanged(key, thread, all)),
    restore: (key, thread, states) => inOrder(key, thread, () => executor.restore(key, thread, states)),
    drop: (key, thread, groups) => inOrder(key, thread, () => executor.drop(key, thread, groups)),
    setStatic: (key, name, rows) => executor.setStatic(key, name, rows),
    addStage: (id, plan) => executor.addStage(id, plan),
    removeStage: (id) => executor.removeStage(id),
    run: async (id, task) => {
      const result = await executor.run(id, task);
      await pause();
      return result;
    },
    close: () => executor.close(),
  };
}

/** The stateless job under test and nothing else; epochs are the real engine's. */
export class SmallExecutor extends InlineExecutor {
  readonly #stages = new Map<string, StagePlan>();

  override addStage(stageId: string, plan: unknown): Promise<void> {
    this.#stages.set(stageId, plan as StagePlan);
    return Promise.resolve();
  }

  override removeStage(stageId: string): Promise<void> {
    this.#stages.delete(stageId);
    return Promise.resolve();
  }

  override run(stageId: string, task: StageTask): Promise<StageResult> {
    const plan = this.#stages.get(stageId);
    if (plan === undefined) return Promise.reject(new Error(`no stage ${stageId}`));
    return Promise.resolve(runTask(plan, task));
  }

  override close(): Promise<void> {
    return Promise.resolve();
  }
}

type Value = Uint8Array | null;
type Row = Readonly<Record<string, Value>>;

function runTask(plan: StagePlan, task: StageTask): StageResult {
  const rev = revColumnOf(plan);
  const counters = { read: 0, passed: 0, filtered: 0, skipped: 0, dead: 0, rowsOut: 0 };
  const blocks = simSinks.map(() => [] as Uint8Array[]);
  const letters: Uint8Array[] = [];
  let inputBytes = 0;
  for (const record of recordsOf(task)) {
    counters.read++;
    inputBytes += record.value?.byteLength ?? 0;
    if (record.value === null) {
      counters.skipped++;
      continue;
    }
    const fields = parse(record.value);
    if (fields === null) {
      counters.dead++;
      letters.push(deadLetter(plan, task, record));
      continue;
    }
    if (fields.v % FILTER_MODULUS === 0) {
      counters.filtered++;
      continue;
    }
    counters.passed++;
    counters.rowsOut++;
    const row: Row = {
      part: int32(task.partition),
      off: int64(record.offset),
      id: utf8(fields.id),
      k: utf8(fields.k),
      g: int32(fields.g),
      v: int64(fields.v),
      rev: int32(rev),
    };
    for (const [index, sink] of simSinks.entries()) {
      blocks[index]?.push(
        encodeRow(
          sink.shape.columns.map(({ name }) => row[name] ?? null),
          record.writeTimeUs,
        ),
      );
    }
  }
  const deadByReason = deadLetterReasons.map((reason) => (reason === 'RECORD_NOT_JSON' ? counters.dead : 0));
  return {
    sinks: blocks.map((rows) => ({ kind: 'table', rowCount: rows.length, bytes: Buffer.concat(rows) })),
    deadLetters: { rowCount: letters.length, bytes: Buffer.concat(letters) },
    counters,
    deadByReason,
    failure: null,
    inputBytes,
    timestampMsMin: 0,
    timestampMsMax: 0,
  };
}

interface SmallRecord {
  readonly offset: number;
  readonly key: Value;
  readonly value: Value;
  readonly timestampMs: number;
  readonly writeTimeUs: number;
}

/** Records of a task in [fromOffset, toOffset). Uncompressed batches only. */
function* recordsOf(task: StageTask): Generator<SmallRecord> {
  const view = new DataView(task.bytes.buffer, task.bytes.byteOffset, task.bytes.byteLength);
  for (let at = 0; at < task.batches.length; at += BATCH_STRIDE) {
    const [start, , baseOffset, baseTime] = task.batches.subarray(at, at + BATCH_STRIDE) as unknown as [
      number,
      number,
      number,
      number,
    ];
    const firstTimestamp = Number(view.getBigInt64(start + 27));
    const reader = new Reader(task.bytes, start + 61);
    for (let count = view.getInt32(start + 57); count > 0; count--) {
      reader.varint();
      reader.skip(1);
      const timestampMs = firstTimestamp + reader.varint();
      const delta = reader.varint();
      const key = reader.bytes();
      const value = reader.bytes();
      for (let headers = reader.varint(); headers > 0; headers--) {
        reader.bytes();
        reader.bytes();
      }
      const offset = baseOffset + delta;
      if (offset < task.fromOffset || offset >= task.toOffset) continue;
      yield { offset, key, value, timestampMs, writeTimeUs: baseTime + delta * task.stride };
    }
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.#at = at;
  }

  skip(count: number): void {
    this.#at += count;
  }

  varint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = this.#bytes[this.#at++] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
    }
  }

  bytes(): Value {
    const length = this.varint();
    if (length < 0) return null;
    this.#at += length;
    return this.#bytes.slice(this.#at - length, this.#at);
  }
}

interface Fields {
  readonly id: string;
  readonly k: string;
  readonly g: number;
  readonly v: number;
}

function parse(value: Uint8Array): Fields | null {
  try {
    return JSON.parse(new TextDecoder().decode(value)) as Fields;
  } catch {
    return null;
  }
}

/** One row of a RowBlock. */
function encodeRow(values: readonly Value[], timestampUs: number): Uint8Array {
  const body = [
    ...values.flatMap((value) => [int32(value?.byteLength ?? -1), value ?? new Uint8Array(0)]),
    int32(8),
    int64(timestampUs),
  ];
  const size = body.reduce((sum, part) => sum + part.byteLength, 0);
  const header = new Uint8Array(ROW_HEADER_BYTES);
  new DataView(header.buffer).setUint32(0, size);
  return Buffer.concat([header, ...body]);
}

function deadLetter(plan: StagePlan, task: StageTask, record: SmallRecord): Uint8Array {
  const values = [
    utf8(plan.job),
    int32(task.run),
    utf8(plan.topic),
    int32(task.partition),
    int64(Math.floor(record.offset / DEAD_LETTER_BUCKET_OFFSETS)),
    int64(record.offset),
    utf8('RECORD_NOT_JSON'),
    utf8(''),
    int64(record.timestampMs),
    record.key,
    record.value,
    int32(record.value?.byteLength ?? 0),
  ];
  return encodeRow(values, record.writeTimeUs);
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function int32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value);
  return bytes;
}

function int64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value));
  return bytes;
}
