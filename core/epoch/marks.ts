/**
 * What is known of a partition's log above the planned positions: ends of record batches with the greatest record time
 * up to each. Workers report them as they read ahead; the master plans with them, whoever reported them.
 */
import type { Offset } from '../ids.ts';
import { offset } from '../ids.ts';

export interface Mark {
  /** End of a record batch: the offset after its last record. */
  readonly end: Offset;
  /** Greatest record time of the log from the position to `end`, ms. */
  readonly timestampMs: number;
}

/** Marks of one partition above its position, ends and times ascending. */
export class LaneMarks {
  #marks: Mark[] = [];
  #logEnd = offset(0);
  #recordBytes = 0;

  /** End of the log as last seen. */
  get logEnd(): Offset {
    return this.#logEnd;
  }

  /** Of a record as fetched, on average; 0 = nobody knows yet. */
  get recordBytes(): number {
    return this.#recordBytes;
  }

  get marks(): readonly Mark[] {
    return this.#marks;
  }

  /** How far somebody has read; `position` when nobody has. */
  readTo(position: Offset): Offset {
    return this.#marks.at(-1)?.end ?? position;
  }

  /** Takes a report in; what is known already or lies below is left out. */
  add(
    position: Offset,
    ends: readonly number[],
    timestampsMs: readonly number[],
    logEnd: number,
    recordBytes = 0,
  ): void {
    if (recordBytes > 0) this.#recordBytes = recordBytes;
    for (let index = 0; index < ends.length; index++) {
      const end = offset(ends[index] ?? 0);
      const last = this.#marks.at(-1);
      if (end <= (last?.end ?? position)) continue;
      const timestampMs = Math.max(timestampsMs[index] ?? 0, last?.timestampMs ?? Number.NEGATIVE_INFINITY);
      this.#marks.push({ end, timestampMs });
    }
    this.#logEnd = offset(Math.max(this.#logEnd, logEnd, this.readTo(position)));
  }

  /** Forgets what lies at or below the position. */
  planned(position: Offset): void {
    const first = this.#marks.findIndex((mark) => mark.end > position);
    this.#marks = first < 0 ? [] : this.#marks.slice(first);
    this.#logEnd = offset(Math.max(this.#logEnd, position));
  }
}
