/**
 * What the coordinator of a stateful job knows of its feeds: why one gives nothing, and whether an execution of
 * `availableNow` may fix where it ends. It may once every feed has appended all that was there after the execution began;
 * what each found then lies before the end.
 *
 * The number of an execution is the version of the head when its leader fenced it: no other execution of the run has it,
 * and a report of one that is over does not count.
 */
import type { LaneId, Offset } from '../core/ids.ts';
import { offset, parseLaneId } from '../core/ids.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import type { EpochFeed } from '../proto/gen/control.ts';
import type { Offsets } from './epochs-logs.ts';

/** Why a job does not go on, for people. */
export interface Waiting {
  readonly code: string;
  readonly message: string;
}

export class EpochFeeds {
  /** Names of the sources that are feeds. */
  readonly #sources: readonly string[];
  /** Where the topics of those ended that have fetched all. */
  readonly #ends = new Map<string, Offset>();
  readonly #blocked = new Map<string, Waiting>();
  #execution = 0;

  constructor(plan: EpochsPlan) {
    this.#sources = plan.sources.flatMap(({ name, feed }) => (feed === undefined ? [] : [name]));
  }

  /** All is to be fetched for this execution. */
  begin(execution: number): void {
    this.#execution = execution;
    this.#ends.clear();
  }

  /** The execution's end is fixed: what comes now is for the next one. */
  settle(): void {
    this.#execution = 0;
    this.#blocked.clear();
  }

  /** The execution to fetch for; 0 = none. */
  get execution(): number {
    return this.#execution;
  }

  /** Some have not fetched all so far. */
  get pending(): boolean {
    return this.#execution > 0 && this.#sources.some((source) => !this.#ends.has(source));
  }

  /** Why a source gives nothing at the moment; null = all do. */
  get blocked(): Waiting | null {
    return [...this.#blocked.values()][0] ?? null;
  }

  take({ source, code, message, fetched, end }: EpochFeed): void {
    if (code === '') this.#blocked.delete(source);
    else this.#blocked.set(source, { code, message });
    if (this.#execution > 0 && fetched === this.#execution) this.#ends.set(source, offset(end));
  }

  /** The ends, where a log does not show yet all that its feed has appended. */
  beyond(ends: Offsets): Offsets {
    const raised = (Object.entries(ends) as [LaneId, Offset][]).map(([lane, end]): [LaneId, Offset] => {
      const { source, partition } = parseLaneId(lane);
      const fed = partition === 0 ? this.#ends.get(source) : undefined;
      return [lane, fed !== undefined && fed > end ? fed : end];
    });
    return Object.fromEntries(raised) as Offsets;
  }
}
