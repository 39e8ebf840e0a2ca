/** The feeders of a stateful job on one worker: those of the sources whose first partition is read here. */
import type { JobName, LaneId } from '../../core/ids.ts';
import { parseLaneId } from '../../core/ids.ts';
import type { PlannedSource } from '../../engine/plan/job-plan.ts';
import type { WorkerPorts } from '../job-runner.ts';
import { feederOf } from '../job-runner.ts';
import type { Feeder } from './feeder.ts';

interface Running {
  readonly feeder: Feeder;
  readonly leave: AbortController;
  readonly done: Promise<void>;
}

/**
 * No permit limits them: the log lets one writer append at a time, and where two workers read the same partition for a
 * moment while it moves, the later one takes the log over.
 */
export class EpochFeeders {
  readonly #ports: WorkerPorts;
  readonly #job: JobName;
  readonly #sources: readonly PlannedSource[];
  readonly #behind: (source: string) => number;
  readonly #running = new Map<string, Running>();

  /** `behind`: records of a source that are read here and not processed. */
  constructor(ports: WorkerPorts, job: JobName, sources: readonly PlannedSource[], behind: (source: string) => number) {
    this.#behind = behind;
    this.#ports = ports;
    this.#job = job;
    this.#sources = sources;
  }

  /** Feeds the sources whose first partitions are among these, and no others. */
  keep(lanes: Iterable<LaneId>): void {
    const firsts = new Set<string>();
    for (const lane of lanes) {
      const { source, partition } = parseLaneId(lane);
      if (partition === 0) firsts.add(source);
    }
    for (const [name, { leave }] of this.#running) {
      if (firsts.has(name)) continue;
      leave.abort();
      this.#running.delete(name);
    }
    for (const source of this.#sources) {
      if (!firsts.has(source.name) || this.#running.has(source.name)) continue;
      const feeder = feederOf(this.#ports, this.#job, source, { behind: () => this.#behind(source.name) });
      if (feeder === null) continue;
      const leave = new AbortController();
      this.#running.set(source.name, { feeder, leave, done: feeder.run(leave.signal) });
    }
  }

  async close(): Promise<void> {
    const running = [...this.#running.values()];
    this.#running.clear();
    for (const { leave } of running) leave.abort();
    await Promise.all(running.map(({ done }) => done));
  }
}
