/**
 * What the lanes of a job write to one sink: one batch at a time per lane, in the order of its offsets. What comes while
 * a batch is on its way makes up the next one, so that a slow sink gets few large batches and a fast one small ones.
 */
import { must } from '../core/assert.ts';
import type { WritePermit } from '../core/lane/permit.ts';
import type { BatchPart, LanePlace, RowSink, RowsPart } from '../core/row-sink.ts';

/** Bytes of rows that a batch grows to at most; a single chunk may be larger. */
const BATCH_BYTES_MAX = 16 * 1024 * 1024;

interface Waiting {
  readonly parts: readonly RowsPart[];
  readonly place: LanePlace;
  readonly permit: WritePermit;
  readonly done: PromiseWithResolvers<void>;
}

export class LaneBatches {
  readonly #sink: RowSink;
  readonly #waiting = new Map<string, Waiting[]>();

  constructor(sink: RowSink) {
    this.#sink = sink;
  }

  /** Resolves when the rows of these offsets are durable. Throws what the sink throws; FENCED when the permit ended. */
  write(parts: readonly RowsPart[], place: LanePlace, permit: WritePermit): Promise<void> {
    const entry: Waiting = { parts, place, permit, done: Promise.withResolvers() };
    const { lane } = place;
    const waiting = this.#waiting.get(lane);
    if (waiting === undefined) {
      this.#waiting.set(lane, [entry]);
      void this.#drain(lane);
    } else waiting.push(entry);
    return entry.done.promise;
  }

  /** Never rejects. */
  async #drain(lane: string): Promise<void> {
    const waiting = must(this.#waiting.get(lane), () => `nothing waits in lane ${lane}`);
    while (waiting.length > 0) {
      const taken = takeBatch(waiting);
      const first = must(taken[0], () => 'an empty batch');
      const last = taken.at(-1) ?? first;
      const parts = taken.flatMap((entry) => entry.parts.map((part): BatchPart => ({ ...part, unit: lane })));
      try {
        first.permit.check();
        await this.#sink.write({ place: { ...first.place, to: last.place.to }, parts }, first.permit);
        for (const { done } of taken) done.resolve();
      } catch (error) {
        for (const { done } of taken) done.reject(error);
        // What comes after rows that are not there must not be written: the lane reads them again.
        for (const entry of waiting.splice(0)) {
          if (entry.permit === first.permit) entry.done.reject(error);
          else waiting.push(entry);
        }
      }
    }
    this.#waiting.delete(lane);
  }
}

/** Neighbours of one owner, as many as fit. */
function takeBatch(waiting: Waiting[]): Waiting[] {
  const [first] = waiting;
  let bytes = 0;
  let count = 0;
  for (const { parts, permit } of waiting) {
    bytes += parts.reduce((sum, part) => sum + part.bytes.byteLength, 0);
    if (permit !== first?.permit || (count > 0 && bytes > BATCH_BYTES_MAX)) break;
    count++;
  }
  return waiting.splice(0, count);
}
