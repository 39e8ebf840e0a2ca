import assert from 'node:assert/strict';
import { test } from 'node:test';
import { addToTotals, defaultGenerator, emptyTotals, expectationOf, generate, valueOf } from './generator.ts';

test('a record is the same every time and differs by seed, partition and sequence number', () => {
  assert.deepEqual(generate(defaultGenerator, 2, 77), generate(defaultGenerator, 2, 77));
  const many = new Set<string>();
  for (let seed = 0; seed < 10; seed++) {
    for (let partition = 0; partition < 4; partition++) {
      const values = Array.from({ length: 20 }, (_, seq) => generate({ ...defaultGenerator, seed }, partition, seq).v);
      many.add(values.join());
    }
  }
  assert.equal(many.size, 40);
});

test('every fate happens, in about the wanted shares, and the values say the same', () => {
  const expectation = expectationOf(defaultGenerator, [5000, 5000]);
  const { read, passed, filtered, dead, skipped } = expectation.counters;
  assert.equal(read, 10_000);
  assert.equal(read, passed + filtered + dead + skipped);
  for (const [share, count] of [
    [0.02, dead],
    [0.02, skipped],
    [0.192, filtered],
  ] as const) {
    assert.ok(Math.abs(count / read - share) < 0.02, `${count} of ${read}, not about ${share}`);
  }
  for (let seq = 0; seq < 500; seq++) {
    const record = generate(defaultGenerator, 0, seq);
    const value = valueOf(record);
    if (record.fate === 'skipped') assert.equal(value, null);
    else if (record.fate === 'dead') assert.throws(() => JSON.parse(value ?? '') as unknown);
    else
      assert.deepEqual(JSON.parse(value ?? ''), {
        id: record.id,
        k: record.k,
        g: record.g,
        v: record.v,
        ts: record.ts,
      });
  }
});

test('totals notice a record that is lost, doubled, or swapped for one of the same value', () => {
  const fold = (ids: readonly string[]): string => {
    const totals = emptyTotals();
    for (const id of ids) addToTotals(totals, id, 7);
    return JSON.stringify(totals);
  };
  const right = fold(['0-1', '0-2', '0-3']);
  assert.equal(fold(['0-3', '0-1', '0-2']), right);
  for (const wrong of [
    ['0-1', '0-2'],
    ['0-1', '0-2', '0-3', '0-3'],
    ['0-1', '0-2', '0-4'],
    ['0-1', '0-2', '0-2'],
  ]) {
    assert.notEqual(fold(wrong), right);
  }
});
