import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Line } from '../throughput.ts';
import { pageOf } from './page.ts';
import type { StoredResult } from './stored.ts';

const machine = { cores: 2, cpu: 'a processor', memoryGb: 4, node: '24.0.0' };

function stored(name: string, lines: readonly Line[], failure: string | null = null): readonly [string, StoredResult] {
  return [name, { name, args: [name, '--records', '5'], machine, seconds: 61, failure, lines }];
}

const throughputLine = (system: string, perCpuSecond: number, more: Line = {}): Line => ({
  bench: 'noop',
  system,
  version: '1',
  recordsPerCpuSecondWarm: perCpuSecond,
  recordsPerCpuSecond: perCpuSecond / 2,
  recordsPerSecond: perCpuSecond * 2,
  warmOfEachRound: [perCpuSecond],
  rounds: 3,
  problems: [],
  ...more,
});

test('a page of nothing says that nothing was measured', () => {
  const text = pageOf(new Map());
  assert.match(text, /Nothing was run yet/);
  assert.match(text, /0 met, 0 missed, \d\d not measured/);
  for (const name of ['noop', 'count', 'cassandra', 'kafka', 'latency', 'memory'])
    assert.ok(text.includes(`\`${name}\` was not run`));
  assert.ok(!text.includes('NaN') && !text.includes('undefined'));
});

test('goals are met or missed by what the lines say', () => {
  const lines = [
    throughputLine('weir', 1100, { workerPeakRssMb: [100, 260] }),
    throughputLine('spark', 100),
    throughputLine('bento', 400),
  ];
  const text = pageOf(new Map([stored('noop', lines)]));
  assert.match(text, /to Spark 4\.2 \| ≥ 10 \(18\) \| 11\.00 \| met/);
  assert.match(text, /the same to Bento \| ≥ 7 \| 2\.75 \| \*\*missed\*\*/);
  assert.match(text, /noop: resident memory of the worker at its largest, MB \| ≤ 250 \| 260 \| \*\*missed\*\*/);
  assert.match(text, /count: records per CPU-second, warm, to Spark 4\.2 \| ≥ 12 \(20\) \| - \| not measured/);
  assert.match(text, / {4}npm run bench -- noop --records 5/);
});

test('wrong values, missing peers and benches that did not end well are named', () => {
  const lines = [
    throughputLine('weir', 10, { problems: ['crc: 1 instead of 2'], rounds: 1 }),
    { system: 'bento', missing: 'no go' },
  ];
  const text = pageOf(new Map([stored('noop', lines, 'ended after 9 minutes')]));
  assert.match(text, /\*\*wrong\*\*: crc: 1 instead of 2/);
  assert.match(text, /to Spark 4\.2 \| ≥ 10 \(18\) \| - \| not measured/);
  assert.match(text, /noop, bento: no go/);
  assert.match(text, /`noop` did not end well \(ended after 9 minutes\)/);
  assert.match(text, /Three rounds of `noop`: there was time for 1/);
});
