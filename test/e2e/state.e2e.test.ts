/**
 * Ten conformance cases through the front door on two workers, with kill -9 of a worker or the master after every step:
 * what comes out must be what comes out without. The cases go step by step together, so that a kill hits all of them.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { SteppedCluster } from '../../cli/testing/stepped-cluster.ts';
import { must } from '../../core/assert.ts';
import type { ConformanceCase, StreamCase } from '../conformance/spark/cases.ts';
import type { Verdict } from '../conformance/spark/judge.ts';
import { judgeStreamCase } from '../conformance/spark/judge.ts';

const names = [
  'agg-window-append-metrics',
  'wm-restart-keeps-watermark',
  'wm-update',
  'session-append',
  'dedup-union-restart',
  'dedupw-restart',
  'multi-join-window-update',
  'join-left-outer-windowed',
  'join-rightOuter-range',
  'x-sliding-update',
];
const victims = ['worker-1', 'master', 'worker-2'];

const { cases } = JSON.parse(readFileSync(new URL('../conformance/spark/cases.json', import.meta.url), 'utf8')) as {
  readonly cases: readonly ConformanceCase[];
};

function caseOf(name: string): StreamCase {
  const found = must(
    cases.find((one) => one.name === name),
    () => `no case ${name}`,
  );
  assert.ok(found.kind !== 'kafkaPlan');
  return found;
}

/** Holds everybody until all who have not left are there, and does something before they go on. */
class Barrier {
  #expected: number;
  #arrived = 0;
  #opened = Promise.withResolvers<void>();
  readonly #between: () => Promise<void>;

  constructor(expected: number, between: () => Promise<void>) {
    this.#expected = expected;
    this.#between = between;
  }

  arrive(): Promise<void> {
    const { promise } = this.#opened;
    this.#arrived += 1;
    this.#openWhenAll();
    return promise;
  }

  leave(): void {
    this.#expected -= 1;
    this.#openWhenAll();
  }

  #openWhenAll(): void {
    if (this.#arrived === 0 || this.#arrived < this.#expected) return;
    const { resolve, reject } = this.#opened;
    this.#arrived = 0;
    this.#opened = Promise.withResolvers<void>();
    this.#between().then(resolve, reject);
  }
}

describe('conformance cases with kill -9 after every step', { timeout: 240_000 }, () => {
  let cluster: SteppedCluster;
  let kills = 0;
  const verdicts = new Map<string, Promise<Verdict>>();

  before(async () => {
    cluster = await SteppedCluster.start({ workers: 2 });
    const barrier = new Barrier(names.length, () =>
      cluster.crash(must(victims[kills++ % victims.length], () => 'a victim')),
    );
    for (const [index, name] of names.entries()) {
      const judged = judgeStreamCase(cluster, caseOf(name), `state${index}`, () => barrier.arrive());
      verdicts.set(
        name,
        judged.finally(() => barrier.leave()),
      );
    }
  });
  after(() => cluster?.[Symbol.asyncDispose]());

  for (const name of names) {
    test(name, async () => {
      const verdict = await must(verdicts.get(name), () => name);
      assert.notEqual(verdict.kind, 'fail', verdict.kind === 'fail' ? verdict.what : '');
    });
  }

  test('each process was killed twice at least', async () => {
    await Promise.allSettled(verdicts.values());
    assert.ok(kills >= 2 * victims.length, `only ${kills} kills`);
  });
});
