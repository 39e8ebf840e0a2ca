/**
 * Lookups of a stateful job on one worker. As in a lane, small stages give the keys of a task's records and the event
 * loop asks for their rows; but what was answered is claimed under the epoch's name before anything is made of it. So
 * of all attempts, owners and replays of a task none sees another answer than the first one that was kept, and what an
 * epoch gives is a function of its plan, as it has to be where state is folded once.
 */
import { createHash } from 'node:crypto';
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { must } from '../../core/assert.ts';
import { backoffMs } from '../../core/clock.ts';
import { answersId } from '../../core/epoch/answers.ts';
import type { EpochPlan } from '../../core/epoch/types.ts';
import { WeirError, isWeirError } from '../../core/errors.ts';
import type { JobName, LaneId } from '../../core/ids.ts';
import { parseLaneId } from '../../core/ids.ts';
import type { LookupKey } from '../../core/lookup.ts';
import type { BlobStore, Log } from '../../core/ports.ts';
import { decodeAnswers, encodeAnswers, joinedDocuments } from '../../engine/lookups/answers.ts';
import type { LookedUp } from '../../engine/lookups/lookup-rows.ts';
import type { EpochsPlan, StageLookups } from '../../engine/plan/epoch-plan.ts';
import type { Executor } from '../../engine/stage.ts';
import type { LookupPorts } from './lookup-executor.ts';
import { keysIn, openLookup } from './lookup-executor.ts';
import type { Lookup } from './lookup.ts';
import { keyId } from './lookup.ts';

/** Keys whose answers are claimed together: so many rows of a few hundred bytes are well below what a store takes. */
const KEYS_PER_PART = 1024;
/** Compressed. Beyond it an answer is no row that a stream is joined with. */
const PART_BYTES_MAX = 3 << 20;
const PARTS_AT_ONCE = 4;

/** The fastest: what a part holds is packed in less than the store takes to answer. */
const packing = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

/** One map task, as far as its lookups are concerned. */
export interface AskingTask {
  /** Of the plan: a map stage. */
  readonly stage: number;
  readonly lane: LaneId;
  readonly plan: EpochPlan;
  readonly run: number;
  /** Stay the caller's. */
  readonly bytes: Uint8Array;
  readonly batches: Float64Array;
}

/** What may be there already. */
export type Known =
  /** Nobody can have asked before: it is the first attempt of the epoch. */
  | 'nothing'
  | 'perhaps'
  /** The epoch is committed. What is gone must not be asked again: others have folded it. */
  | 'everything';

export interface EpochLookupParts extends LookupPorts {
  readonly job: JobName;
  readonly executor: Executor;
  readonly blobs: () => BlobStore;
  readonly log: Log;
}

interface OpenStage {
  readonly definition: string;
  readonly steps: readonly { readonly id: string; readonly lookup: Lookup; readonly table: string }[];
}

export class EpochLookups {
  readonly #parts: EpochLookupParts;
  readonly #stages: ReadonlyMap<number, OpenStage>;

  private constructor(parts: EpochLookupParts, stages: ReadonlyMap<number, OpenStage>) {
    this.#parts = parts;
    this.#stages = stages;
  }

  /**
   * null = the job looks nothing up. `hostKey` names the job's run in the executor. Throws: what opening a table throws,
   * LOOKUP_UNAVAILABLE among it.
   */
  static async open(plan: EpochsPlan, hostKey: string, parts: EpochLookupParts): Promise<EpochLookups | null> {
    const stages = new Map<number, OpenStage>();
    const lookups = new EpochLookups(parts, stages);
    try {
      for (const [index, stage] of plan.stages.entries())
        if (stage.kind === 'map' && stage.lookups !== undefined)
          stages.set(index, await lookups.#openStage(`${hostKey}#${index}`, stage.lookups));
    } catch (error) {
      await lookups.close();
      throw error;
    }
    return stages.size === 0 ? null : lookups;
  }

  async #openStage(name: string, { definition, steps }: StageLookups): Promise<OpenStage> {
    const { executor } = this.#parts;
    // A table that several branches join is opened once, with one cache.
    const byTable = new Map<string, Lookup>();
    const opened: OpenStage['steps'][number][] = [];
    try {
      for (const [index, plan] of steps.entries()) {
        const table = plan.table.name;
        const lookup = byTable.get(table) ?? (await openLookup(plan, this.#parts));
        byTable.set(table, lookup);
        const id = `${name}.${index}`;
        await executor.addStage(id, plan.keys);
        opened.push({ id, lookup, table });
      }
    } catch (error) {
      await this.#closeSteps(opened);
      await Promise.all([...byTable.values()].map((lookup) => lookup.close()));
      throw error;
    }
    return { definition, steps: opened };
  }

  /** Whether tasks of the stage need {@link tablesOf}. */
  has(stage: number): boolean {
    return this.#stages.has(stage);
  }

  /**
   * The rows that a task's records are joined with: the same for whoever maps it, ever. Waits while a place does not
   * answer and the job waits for it; `waits` is told of every time that it did not.
   *
   * Throws: LOOKUP_FAILED, UNAUTHORIZED, FORBIDDEN, LOOKUP_REFUSED, STORE_UNAVAILABLE; STATE_DAMAGED for answers of a
   * committed epoch that are gone; the signal's reason.
   */
  async tablesOf(
    task: AskingTask,
    known: Known,
    signal: AbortSignal,
    waits: (error: WeirError) => void,
  ): Promise<readonly LookedUp[]> {
    const { steps, definition } = must(this.#stages.get(task.stage), () => `stage ${task.stage} looks nothing up`);
    const { executor, job } = this.#parts;
    const { fromOffset, toOffset } = rangeOf(task);
    const id = answersId(job, definition, task.plan, task.lane);
    const tables = new Map<string, LookedUp>();
    const asked = new Map<string, Set<string>>();
    for (const { id: stageId, lookup, table } of steps) {
      const { partition } = parseLaneId(task.lane);
      const { run, batches } = task;
      const given = [...tables.values()];
      const keysOf = { bytes: task.bytes.slice(), batches, partition, run, fromOffset, toOffset, stride: 0 };
      const result = await executor.run(stageId, { ...keysOf, logPartitions: [], tables: given });
      const before = asked.get(table) ?? new Set<string>();
      asked.set(table, before);
      const keys = keysIn(result).filter((key) => !before.has(keyId(key)));
      for (const key of keys) before.add(keyId(key));
      const groups = grouped(keys, KEYS_PER_PART);
      const answers = await inOrder(groups, PARTS_AT_ONCE, (group) =>
        this.#answers(lookup, group, { id, question: questionOf(table, group) }, known, signal, waits),
      );
      const own = tables.get(table);
      const all = own === undefined ? answers : [own, ...answers];
      const rows = joinedDocuments(all.map((each) => each.rows));
      tables.set(table, { table, rows, failed: joinedDocuments(all.map((each) => each.failed)) });
    }
    return [...tables.values()];
  }

  async #answers(
    lookup: Lookup,
    keys: readonly LookupKey[],
    place: Place,
    known: Known,
    signal: AbortSignal,
    waits: (error: WeirError) => void,
  ): Promise<Answers> {
    const { job } = this.#parts;
    const blobs = this.#parts.blobs();
    const kept = known === 'nothing' ? undefined : await find(place, (part) => blobs.claimed(place.id, part));
    if (kept === undefined && known === 'everything')
      throw new WeirError('STATE_DAMAGED', `job ${job}: answers of the committed epoch ${place.id} are gone`);
    if (kept !== undefined) return unpacked(kept, place.id);
    const packed = zstdCompressSync(encodeAnswers(await this.#resolve(lookup, keys, signal, waits)), packing);
    if (packed.byteLength > PART_BYTES_MAX)
      throw new WeirError(
        'LOOKUP_FAILED',
        `job ${job}: the rows of ${keys.length} keys take ${packed.byteLength} bytes packed, and ${PART_BYTES_MAX} can be kept with an epoch; list fewer columns in the schema of the table`,
      );
    signal.throwIfAborted();
    const own = Buffer.concat([place.question, packed]);
    const first = await find(place, (part) => blobs.claim(place.id, part, own, signal));
    return unpacked(
      must(first, () => 'a claim without an answer'),
      place.id,
    );
  }

  async #resolve(
    lookup: Lookup,
    keys: readonly LookupKey[],
    signal: AbortSignal,
    waits: (error: WeirError) => void,
  ): Promise<LookedUp> {
    const { clock, rng, log } = this.#parts;
    for (let attempt = 0; ; attempt++) {
      signal.throwIfAborted();
      try {
        return await lookup.resolve(keys);
      } catch (error) {
        if (!isWeirError(error, 'LOOKUP_UNAVAILABLE')) throw error;
        if (attempt === 0) log.warn({ job: this.#parts.job, code: error.code }, error.message);
        waits(error);
        await clock.sleep(backoffMs(rng, attempt), signal);
      }
    }
  }

  async close(): Promise<void> {
    for (const { steps } of this.#stages.values()) await this.#closeSteps(steps);
  }

  async #closeSteps(steps: OpenStage['steps']): Promise<void> {
    for (const { id } of steps) await this.#parts.executor.removeStage(id);
    await Promise.all([...new Set(steps.map(({ lookup }) => lookup))].map((lookup) => lookup.close()));
  }
}

interface Place {
  /** Of the blob. */
  readonly id: string;
  /** Stands for the keys and their table: begins the part that holds the answers. */
  readonly question: Buffer;
}

const QUESTION_BYTES = 16;

function questionOf(table: string, keys: readonly LookupKey[]): Buffer {
  return createHash('sha256')
    .update(JSON.stringify([table, keys]))
    .digest()
    .subarray(0, QUESTION_BYTES);
}

/** What `ask` gives of the question: parts are numbered by it, and one that is taken by another question is passed by. */
async function find(
  { question }: Place,
  ask: (part: number) => Promise<Uint8Array | undefined>,
): Promise<Uint8Array | undefined> {
  for (let part = question.readUInt32BE(0) >>> 2; ; part++) {
    const bytes = await ask(part);
    if (bytes === undefined) return undefined;
    if (question.compare(bytes, 0, QUESTION_BYTES) === 0) return bytes.subarray(QUESTION_BYTES);
  }
}

type Answers = Pick<LookedUp, 'rows' | 'failed'>;

/** What a part that was claimed holds; `name` says of what, where it is damaged. Throws: STATE_DAMAGED, VERSION_MISMATCH. */
export function answersInPart(part: Uint8Array, name: string): Answers {
  return unpacked(part.subarray(QUESTION_BYTES), name);
}

function rangeOf({ plan, lane }: AskingTask): { readonly fromOffset: number; readonly toOffset: number } {
  const { from, to } = must(plan.ranges[lane], () => `epoch ${plan.epoch} has nothing of ${lane}`);
  return { fromOffset: from, toOffset: to };
}

/** Throws: STATE_DAMAGED. */
function unpacked(bytes: Uint8Array, name: string): Answers {
  try {
    return decodeAnswers(zstdDecompressSync(bytes), name);
  } catch (error) {
    if (isWeirError(error)) throw error;
    throw new WeirError('STATE_DAMAGED', `The answers ${name} are damaged.`, { cause: error });
  }
}

function grouped<T>(items: readonly T[], size: number): (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

/** What `work` gives for each item, in their order; so many at once. After a failure no more is begun. */
async function inOrder<T, R>(
  items: readonly T[],
  atOnce: number,
  work: (item: T, index: number) => Promise<R>,
): Promise<R[]> {
  const results: R[] = [];
  const queue = items.entries();
  let failed = false;
  const lane = async (): Promise<void> => {
    for (const [index, item] of queue) {
      if (failed) return;
      try {
        results[index] = await work(item, index);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(atOnce, items.length) }, lane));
  return results;
}
