/** Watches the commits of stateful jobs from outside and says how long the gaps between them were, and why. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { JobView } from '../../master/views.ts';

const SAMPLE_MS = 50;
/** A gap that begins so long after a fault is not its doing. */
const ONSET_MS = 4500;

export type PhaseKind = 'start' | 'steady' | 'move' | 'kill' | 'leader';

interface Phase {
  readonly kind: Exclude<PhaseKind, 'steady'>;
  readonly from: number;
  to: number;
}

interface Commit {
  readonly at: number;
  readonly epoch: number;
}

export interface GapFigures {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export class CommitWatch {
  /** Monotonic ms of observed commits by job. */
  readonly #commits = new Map<string, Commit[]>();
  readonly #phases: Phase[] = [];
  readonly #ask: () => Promise<readonly JobView[]>;
  readonly #stopped = new AbortController();
  #done: Promise<void> = Promise.resolve();
  #views: ReadonlyMap<string, JobView> = new Map();
  /** Jobs that were seen in a state in which they do not run. */
  readonly failed = new Map<string, string>();
  samples = 0;

  constructor(ask: () => Promise<readonly JobView[]>) {
    this.#ask = ask;
  }

  start(): void {
    this.#done = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#done;
  }

  /** As last seen. */
  view(job: string): JobView | undefined {
    return this.#views.get(job);
  }

  get views(): readonly JobView[] {
    return [...this.#views.values()];
  }

  /** Marks the time from now until the phase returned is ended as one of a kind. */
  begin(kind: Phase['kind']): { readonly from: number; end(): void } {
    const phase: Phase = { kind, from: performance.now(), to: Number.POSITIVE_INFINITY };
    this.#phases.push(phase);
    return {
      from: phase.from,
      end: () => {
        phase.to = performance.now();
      },
    };
  }

  /**
   * The end of the longest gap that begins around `since`, ms after it: how long a job stood still after a fault.
   * undefined while it has not gone on for a second.
   */
  resumedAfter(job: string, since: number): number | undefined {
    const commits = this.#commits.get(job) ?? [];
    let longest = 0;
    let end: number | undefined;
    for (let index = 1; index < commits.length; index++) {
      const [before, after] = [commits[index - 1], commits[index]];
      if (before === undefined || after === undefined) continue;
      if (after.at < since || before.at > since + ONSET_MS) continue;
      if (after.at - before.at > longest) [longest, end] = [after.at - before.at, after.at];
    }
    const last = commits.at(-1);
    if (end === undefined || last === undefined || last.at < since + ONSET_MS) return undefined;
    return end - since;
  }

  /** Gaps between commits of all jobs that are asked for, by what went on at the time. */
  gaps(jobs: readonly string[]): Map<PhaseKind, GapFigures> {
    const byKind = new Map<PhaseKind, number[]>();
    for (const job of jobs) {
      const commits = this.#commits.get(job) ?? [];
      for (let index = 1; index < commits.length; index++) {
        const [before, after] = [commits[index - 1], commits[index]];
        if (before === undefined || after === undefined) continue;
        const kind = this.#kindOf(before.at, after.at);
        const list = byKind.get(kind) ?? [];
        list.push(after.at - before.at);
        byKind.set(kind, list);
      }
    }
    return new Map([...byKind].map(([kind, list]) => [kind, figuresOf(list)]));
  }

  /** Longest gap of a job that overlaps `[from, to]`, ms. */
  longestGap(job: string, from: number, to: number): number {
    const commits = this.#commits.get(job) ?? [];
    let longest = 0;
    for (let index = 1; index < commits.length; index++) {
      const [before, after] = [commits[index - 1], commits[index]];
      if (before === undefined || after === undefined || after.at < from || before.at > to) continue;
      longest = Math.max(longest, after.at - before.at);
    }
    return longest;
  }

  #kindOf(from: number, to: number): PhaseKind {
    const kinds = new Set(this.#phases.filter((phase) => phase.from <= to && phase.to >= from).map(({ kind }) => kind));
    const order: readonly PhaseKind[] = ['start', 'leader', 'kill', 'move'];
    return order.find((kind) => kinds.has(kind as Phase['kind'])) ?? 'steady';
  }

  async #run(): Promise<void> {
    let next = performance.now();
    while (!this.#stopped.signal.aborted) {
      try {
        this.#take(await this.#ask());
      } catch {
        // While nobody leads, nobody answers.
      }
      next = Math.max(next + SAMPLE_MS, performance.now());
      await sleep(Math.max(0, next - performance.now()));
    }
  }

  #take(views: readonly JobView[]): void {
    this.samples += 1;
    const at = performance.now();
    this.#views = new Map(views.map((view) => [view.row.name, view]));
    for (const { row, epochs } of views) {
      if (row.state === 'failed') this.failed.set(row.name, row.reason?.message ?? 'failed');
      if (epochs === null || epochs.committed < 0) continue;
      const commits = this.#commits.get(row.name) ?? [];
      if (epochs.committed > (commits.at(-1)?.epoch ?? -1)) commits.push({ at, epoch: epochs.committed });
      this.#commits.set(row.name, commits);
    }
  }
}

export function figuresOf(list: readonly number[]): GapFigures {
  const sorted = list.toSorted((a, b) => a - b);
  const at = (q: number): number => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0);
  return { count: list.length, p50: at(0.5), p99: at(0.99), max: Math.round(sorted.at(-1) ?? 0) };
}
