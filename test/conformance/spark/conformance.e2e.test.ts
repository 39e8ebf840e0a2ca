/** Every conformance case through the public front door, on a cluster of real processes. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { SteppedCluster } from '../../../cli/testing/stepped-cluster.ts';
import { type ConformanceCase, parseCases } from './cases.ts';
import { judgeStreamCase } from './judge.ts';
import { judgeKafkaPlan } from './kafka-plan.ts';

const cases = casesOf('cases.json');

for (const workers of [1, 3]) judgeAll(`Structured Streaming's semantics, ${workers} workers`, workers, cases);
judgeAll("Structured Streaming's semantics, more cases", 1, casesOf('more-cases.json'));

function casesOf(file: string): readonly ConformanceCase[] {
  return parseCases(readFileSync(new URL(file, import.meta.url), 'utf8'));
}

function judgeAll(name: string, workers: number, all: readonly ConformanceCase[]): void {
  describe(name, { timeout: 600_000 }, () => {
    let cluster: SteppedCluster;

    before(async () => {
      cluster = await SteppedCluster.start({ workers });
    });
    after(() => cluster[Symbol.asyncDispose]());

    for (const [index, one] of all.entries()) {
      if (one.kind === 'kafkaPlan' || one.sparkQuirk === true) continue;
      test(one.name, async () => {
        const verdict = await judgeStreamCase(cluster, one, `case${index}`);
        assert.notEqual(verdict.kind, 'fail', verdict.kind === 'fail' ? verdict.what : '');
      });
    }
  });
}

describe('offset ranges are planned as Spark plans them', () => {
  for (const one of cases) {
    if (one.kind !== 'kafkaPlan') continue;
    test(one.name, () => {
      const verdict = judgeKafkaPlan(one);
      assert.notEqual(verdict.kind, 'fail', verdict.kind === 'fail' ? verdict.what : '');
    });
  }
});
