import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Clock, Rng } from './clock.ts';
import { WeirError } from './errors.ts';
import type { JobName } from './ids.ts';
import { jobName, revision, run, timestampUs } from './ids.ts';
import type { CasOutcome, ChangeOutcome, JobRow, MetaStore } from './meta.ts';
import { changeJob } from './meta.ts';
import { seededRng } from './random.ts';

const NAME = jobName('job');
const rng: Rng = seededRng(7);
/** Time passes at once. */
const clock: Clock = {
  now: () => 0,
  mono: () => 0,
  sleep: (_ms, signal) => (signal?.aborted === true ? Promise.reject(signal.reason as Error) : Promise.resolve()),
  timer: () => () => undefined,
};

function row(ver: number, nonce: string): JobRow {
  return {
    formatVersion: 1,
    name: NAME,
    ver,
    nonce,
    revision: revision(1),
    definition: 'd',
    run: run(1),
    runStart: timestampUs(0),
    stride: 8,
    start: { kind: 'initial' },
    state: 'running',
    reason: null,
    lanes: {},
    submittedAt: 0,
    changedAt: 0,
  };
}

/** What happens to one request: answered; lost; applied without an answer; applied later, before the n-th next request. */
type Fate = { readonly kind: 'answered' | 'lost' | 'unanswered' } | { readonly kind: 'late'; readonly after: number };
type ReadFate = 'answered' | 'lost';

/** A store of one row that is linearizable and otherwise as unhelpful as it may be. */
class HostileStore implements Pick<MetaStore, 'casJob' | 'readJob'> {
  current: JobRow | undefined;
  /** Every row that ever stood, in order. */
  readonly history: JobRow[] = [];
  readonly #fates: Fate[];
  readonly #readFates: ReadFate[];
  #late: { due: number; readonly apply: () => void }[] = [];

  constructor(fates: readonly Fate[], readFates: readonly ReadFate[]) {
    this.#fates = [...fates];
    this.#readFates = [...readFates];
  }

  casJob(expectedVer: number, next: JobRow): Promise<CasOutcome<JobRow>> {
    this.#tick();
    const fate = this.#fates.shift() ?? { kind: 'answered' };
    const unknown: CasOutcome<JobRow> = { kind: 'unknown', cause: new WeirError('STORE_UNAVAILABLE', 'no answer') };
    if (fate.kind === 'lost') return Promise.resolve(unknown);
    if (fate.kind === 'late') {
      this.#late.push({ due: fate.after, apply: () => this.cas(expectedVer, next) });
      return Promise.resolve(unknown);
    }
    const outcome = this.cas(expectedVer, next);
    return Promise.resolve(fate.kind === 'answered' ? outcome : unknown);
  }

  cas(expectedVer: number, next: JobRow): CasOutcome<JobRow> {
    if ((this.current?.ver ?? 0) !== expectedVer) return { kind: 'rejected', current: this.current };
    this.current = next;
    this.history.push(next);
    return { kind: 'applied' };
  }

  readJob(_name: JobName): Promise<JobRow | undefined> {
    this.#tick();
    if (this.#readFates.shift() === 'lost') return Promise.reject(new WeirError('STORE_UNAVAILABLE', 'no answer'));
    return Promise.resolve(this.current);
  }

  /** Applies what is late and due. */
  #tick(): void {
    const due = this.#late.filter((late) => late.due <= 0);
    this.#late = this.#late.filter((late) => late.due > 0);
    for (const late of this.#late) late.due--;
    for (const late of due) late.apply();
  }

  settleAll(): void {
    for (const late of this.#late.splice(0)) late.apply();
  }
}

const change = (store: HostileStore, expectedVer: number, next: JobRow, signal?: AbortSignal): Promise<ChangeOutcome> =>
  changeJob(store as unknown as MetaStore, clock, rng, expectedVer, next, signal);

const fate: fc.Arbitrary<Fate> = fc.oneof(
  fc.constantFrom<Fate>({ kind: 'answered' }, { kind: 'lost' }, { kind: 'unanswered' }),
  fc.integer({ min: 0, max: 6 }).map((after): Fate => ({ kind: 'late', after })),
);
const readFate = fc.constantFrom<ReadFate>('answered', 'answered', 'lost');

test('the outcome is what happened, whatever the store loses, delays or applies late', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fate, { maxLength: 12 }),
      fc.array(readFate, { maxLength: 12 }),
      fc.nat(2),
      async (fates, readFates, rivalAt) => {
        const store = new HostileStore(fates, readFates);
        store.current = row(4, 'before');
        const mine = row(5, 'mine');
        // Another master changes the row at some point: before, meanwhile, or never.
        if (rivalAt === 0) store.cas(4, row(5, 'rival'));
        const pending = change(store, 4, mine);
        if (rivalAt === 1) {
          await Promise.resolve();
          store.cas(4, row(5, 'rival'));
        }
        const outcome = await pending;
        const applied = store.history.some((seen) => seen.nonce === 'mine');
        assert.equal(outcome.kind, applied ? 'applied' : 'rejected');
        if (outcome.kind === 'rejected') assert.equal(outcome.current?.nonce, 'rival');
        store.settleAll();
        assert.equal(
          store.history.filter((seen) => seen.nonce === 'mine').length,
          applied ? 1 : 0,
          'nothing of it is applied later or twice',
        );
      },
    ),
    { numRuns: 500 },
  );
});

test('two masters that change the same version: exactly one of them did', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fate, { maxLength: 12 }),
      fc.array(readFate, { maxLength: 12 }),
      async (fates, readFates) => {
        const store = new HostileStore(fates, readFates);
        const outcomes = await Promise.all(['a', 'b'].map((nonce) => change(store, 0, row(1, nonce))));
        assert.deepEqual(outcomes.map((outcome) => outcome.kind).sort(), ['applied', 'rejected']);
        const winner = outcomes.find((outcome) => outcome.kind === 'applied');
        assert.equal(store.current?.nonce, winner?.kind === 'applied' ? winner.row.nonce : undefined);
      },
    ),
    { numRuns: 300 },
  );
});

test('a store that never answers is given up when the signal says so', async () => {
  const store = new HostileStore([], new Array<ReadFate>(100).fill('lost'));
  store.casJob = () => Promise.resolve({ kind: 'unknown', cause: null });
  const controller = new AbortController();
  const read = store.readJob.bind(store);
  let reads = 0;
  store.readJob = (name) => {
    if (++reads === 20) controller.abort();
    return read(name);
  };
  await assert.rejects(change(store, 0, row(1, 'mine'), controller.signal), { code: 'STORE_UNAVAILABLE' });
  assert.equal(reads, 20);
});
