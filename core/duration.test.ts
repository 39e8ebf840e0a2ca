import assert from 'node:assert/strict';
import { test } from 'node:test';
import { durationMs, durationUs, formatDurationUs } from './duration.ts';

test('durations are short forms or interval texts', () => {
  assert.equal(durationUs('50ms'), 50_000);
  assert.equal(durationUs('2d'), 172_800_000_000);
  assert.equal(durationUs('10 seconds'), 10_000_000);
  assert.equal(durationUs('interval 1 hour 30 minutes'), 5_400_000_000);
  assert.equal(durationUs('1.5 Seconds'), 1_500_000);
  assert.equal(durationUs('1 month'), 31 * 86_400_000_000);
  assert.equal(durationUs('0 seconds'), 0);
});

test('what is no duration is none', () => {
  for (const text of ['', '10', 's', '-10 seconds', '10 parsecs', '1s 5s', 'ten seconds', '10seconds later'])
    assert.equal(durationUs(text), undefined, text);
  assert.throws(() => durationMs('soon'), /not a duration: soon/);
});

test('milliseconds are rounded up', () => {
  assert.equal(durationMs('1 microsecond'), 1);
  assert.equal(durationMs('15m'), 900_000);
});

test('a duration is shown in its largest whole unit', () => {
  assert.equal(formatDurationUs(10_000_000), '10s');
  assert.equal(formatDurationUs(90_000_000), '90s');
  assert.equal(formatDurationUs(7_200_000_000), '2h');
  assert.equal(formatDurationUs(1_500), '1500us');
  assert.equal(formatDurationUs(0), '0s');
});
