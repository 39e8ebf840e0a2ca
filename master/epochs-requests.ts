/** What people have asked of a running stateful job and wait for: steps, and snapshots of now. */
import type { Epoch } from '../core/ids.ts';
import type { Offsets } from './epochs-logs.ts';
import type { Checkpoint } from './epochs-parts.ts';

interface Request<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
}

interface Step extends Request<{ readonly epochs: number }> {
  /** Where it ends; null = not fixed yet. */
  ends: Offsets | null;
  epochs: number;
}

/** One after the other, in the order they were asked for. */
export class StepRequests {
  readonly #steps: Step[] = [];

  /** Resolves when all epochs of the step are committed. */
  ask(): Promise<{ readonly epochs: number }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ readonly epochs: number }>();
    this.#steps.push({ ends: null, epochs: 0, resolve, reject });
    return promise;
  }

  /** The first one wants to know where the logs end. */
  get wantsEnds(): boolean {
    return this.#steps[0]?.ends === null;
  }

  begin(ends: Offsets): void {
    const [step] = this.#steps;
    if (step !== undefined) step.ends = ends;
  }

  /** Of the step that is under way; null = there is none. */
  get ends(): Offsets | null {
    return this.#steps[0]?.ends ?? null;
  }

  /** No epoch belongs to the first one so far. */
  get isNew(): boolean {
    return this.#steps[0]?.epochs === 0;
  }

  /** An epoch was planned: it belongs to the step that is under way. */
  planned(): void {
    const [step] = this.#steps;
    if (step !== undefined && step.ends !== null) step.epochs += 1;
  }

  /** Nothing more is to come of the step that is under way. */
  settle(): void {
    const step = this.#steps.shift();
    step?.resolve({ epochs: step.epochs });
  }

  reject(error: unknown): void {
    for (const step of this.#steps.splice(0)) step.reject(error);
  }
}

interface CheckpointRequest extends Request<Checkpoint> {
  /** The snapshot must be of this epoch or a later one; null = not planned yet. */
  from: Epoch | null;
}

export class CheckpointRequests {
  #requests: CheckpointRequest[] = [];

  /** Resolves when a snapshot of an epoch that is planned after now is named in the head. */
  ask(): Promise<Checkpoint> {
    const { promise, resolve, reject } = Promise.withResolvers<Checkpoint>();
    this.#requests.push({ from: null, resolve, reject });
    return promise;
  }

  get any(): boolean {
    return this.#requests.length > 0;
  }

  /** An epoch with a snapshot was planned. */
  planned(epoch: Epoch): void {
    for (const request of this.#requests) request.from ??= epoch;
  }

  /** The head names a snapshot. */
  settle(checkpoint: Checkpoint): void {
    const { epoch } = checkpoint.ref;
    const isOld = ({ from }: CheckpointRequest): boolean => from === null || from > epoch;
    for (const request of this.#requests) if (!isOld(request)) request.resolve(checkpoint);
    this.#requests = this.#requests.filter(isOld);
  }

  reject(error: unknown): void {
    for (const request of this.#requests) request.reject(error);
    this.#requests = [];
  }
}
