/** The feeders of a stateful job on one worker: those of the sources whose first partition is read here. */
import type { JobName, LaneId, Offset } from '../../core/ids.ts';
import { parseLaneId } from '../../core/ids.ts';
import type { PlannedSource } from '../../engine/plan/job-plan.ts';
import type { EpochFeed } from '../../proto/gen/control.ts';
import type { WorkerPorts } from '../job-runner.ts';
import { feederOf } from '../job-runner.ts';
import type { Feeder } from './feeder.ts';

/**
 * What feeds do: go on for ever; or fetch what is there for an execution that ends by itself, which has a number; or
 * nothing, since the present execution has all that it is to read.
 */
export type FeedingMode =
  | { readonly kind: 'forEver' }
  | { readonly kind: 'execution'; readonly number: number }
  | { readonly kind: 'none' };

export interface EpochFeedersParts {
  readonly ports: WorkerPorts;
  readonly job: JobName;
  readonly sources: readonly PlannedSource[];
  /** Records of a source that are read here and not processed. */
  readonly behind: (source: string) => number;
  /** How a feed does, whenever that changes. */
  readonly report: (feed: EpochFeed) => void;
}

interface Running {
  readonly source: string;
  readonly feeder: Feeder;
  /** For which execution it fetches; 0 = it goes on for ever. */
  readonly execution: number;
  readonly leave: AbortController;
  /** Where the log ended with all that was there; null = that is not known yet. */
  end: Offset | null;
}

/**
 * No permit limits them: the log lets one writer append at a time, and where two workers read the same partition for a
 * moment while it moves, the later one takes the log over.
 */
export class EpochFeeders {
  readonly #parts: EpochFeedersParts;
  readonly #running = new Map<string, Running>();
  /** Also of those that were told to leave. */
  readonly #ends = new Set<Promise<void>>();

  constructor(parts: EpochFeedersParts) {
    this.#parts = parts;
  }

  /** Feeds the sources whose first partitions are among these, and no others. What goes on is told once more. */
  keep(lanes: Iterable<LaneId>, mode: FeedingMode): void {
    const firsts = new Set<string>();
    if (mode.kind !== 'none')
      for (const lane of lanes) {
        const { source, partition } = parseLaneId(lane);
        if (partition === 0) firsts.add(source);
      }
    const execution = mode.kind === 'execution' ? mode.number : 0;
    for (const running of this.#running.values()) {
      if (firsts.has(running.source) && running.execution === execution) this.#tell(running);
      else this.#drop(running);
    }
    for (const source of this.#parts.sources)
      if (firsts.has(source.name) && !this.#running.has(source.name)) this.#start(source, execution);
  }

  /** Tells everything once more: to a master that may have missed it. */
  tellAll(): void {
    for (const running of this.#running.values()) this.#tell(running);
  }

  async close(): Promise<void> {
    for (const running of this.#running.values()) this.#drop(running);
    await Promise.all(this.#ends);
  }

  #start(source: PlannedSource, execution: number): void {
    const { ports, job, behind } = this.#parts;
    const onBlocked = (): void => this.#tell(running);
    // Nothing is processed before all that is there was fetched: such a feeder must not wait for it.
    const limits = execution > 0 ? { onBlocked } : { onBlocked, behind: () => behind(source.name) };
    const feeder = feederOf(ports, job, source, limits);
    if (feeder === null) return;
    const running: Running = { source: source.name, feeder, execution, leave: new AbortController(), end: null };
    this.#running.set(source.name, running);
    const ended = this.#run(running).finally(() => this.#ends.delete(ended));
    this.#ends.add(ended);
    this.#tell(running);
  }

  async #run(running: Running): Promise<void> {
    const { feeder, execution, leave } = running;
    if (execution === 0) return await feeder.run(leave.signal);
    running.end = await feeder.fetchAll(leave.signal);
    this.#tell(running);
  }

  #drop({ source, leave }: Running): void {
    leave.abort();
    this.#running.delete(source);
  }

  /** Those that left have nothing to say: another worker speaks for the source. */
  #tell(running: Running): void {
    const { source, feeder, execution, end } = running;
    if (this.#running.get(source) !== running) return;
    const { code = '', message = '' } = feeder.blockedBy ?? {};
    this.#parts.report({ source, code, message, fetched: end === null ? 0 : execution, end: end ?? 0 });
  }
}
