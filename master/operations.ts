/** What takes longer than a request: begun by one, looked at by others. Known to the master that began it alone. */
import type { Clock, Rng } from '../core/clock.ts';
import { WeirError, codeOf, messageOf } from '../core/errors.ts';

export interface Operation {
  readonly id: string;
  readonly kind: string;
  readonly job: string | null;
  readonly state: 'running' | 'done' | 'failed';
  /** ms since 1970. */
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly error: { readonly code: string; readonly message: string } | null;
}

const KEPT = 200;

export class Operations {
  readonly #clock: Clock;
  readonly #rng: Rng;
  readonly #known = new Map<string, { operation: Operation; readonly ended: Promise<void> }>();

  constructor(clock: Clock, rng: Rng) {
    this.#clock = clock;
    this.#rng = rng;
  }

  begin(kind: string, job: string | null, work: () => Promise<void>): Operation {
    const id = this.#rng.uuid();
    const operation: Operation = {
      id,
      kind,
      job,
      state: 'running',
      startedAt: this.#clock.now(),
      endedAt: null,
      error: null,
    };
    const end = (state: 'done' | 'failed', error: Operation['error']): void => {
      entry.operation = { ...operation, state, error, endedAt: this.#clock.now() };
    };
    const ended = work().then(
      () => end('done', null),
      (error: unknown) => end('failed', { code: codeOf(error), message: messageOf(error) }),
    );
    const entry = { operation, ended };
    this.#known.set(id, entry);
    const oldest = this.#known.keys().next().value;
    if (this.#known.size > KEPT && oldest !== undefined) this.#known.delete(oldest);
    return operation;
  }

  /** Waits for its end for `waitMs` at most. Throws: NOT_FOUND. */
  async get(id: string, waitMs: number): Promise<Operation> {
    const entry = this.#known.get(id);
    if (entry === undefined)
      throw new WeirError('NOT_FOUND', `This master knows no operation ${id}; it keeps the last ${KEPT} it began.`);
    if (waitMs > 0) {
      const enough = new AbortController();
      await Promise.race([entry.ended, this.#clock.sleep(waitMs, enough.signal).catch(() => undefined)]);
      enough.abort();
    }
    return entry.operation;
  }
}
