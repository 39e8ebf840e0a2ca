import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { JobSummary } from '../wire.ts';
import { POINTS_MAX, addPoint, emptySeries, lagTrend, seed } from './series.ts';

const job = (lag: number): JobSummary =>
  ({ recordsPerSecond: 1, rowsPerSecond: 2, lag, latencyMsP50: null, latencyMsP99: 3 }) as JobSummary;

suite('figures over time', () => {
  test('points come at most twice a second and the oldest go', () => {
    const series = emptySeries();
    addPoint(series, 10, job(1));
    addPoint(series, 10.2, job(2));
    assert.deepEqual(series.lag, [1]);
    for (let at = 11; at < 11 + POINTS_MAX; at++) addPoint(series, at, job(at));
    assert.equal(series.at.length, POINTS_MAX);
    assert.equal(series.p99.length, POINTS_MAX);
    assert.equal(series.at[0], 11);
  });

  test('what the master remembers comes before what was seen, once', () => {
    const series = emptySeries();
    addPoint(series, 100, job(7));
    const history = { at: [90_000, 95_000, 105_000], records: [1, 2, 3], rows: [1, 2, 3], lag: [1, 2, 3] };
    seed(series, { ...history, p50: [null, null, null], p99: [null, null, null] });
    assert.deepEqual(series.at, [90, 95, 100]);
    assert.deepEqual(series.lag, [1, 2, 7]);
  });

  test('the trend of the lag is per second, and unknown at first', () => {
    const series = emptySeries();
    addPoint(series, 0, job(1000));
    addPoint(series, 3, job(1300));
    assert.equal(lagTrend(series), null);
    addPoint(series, 10, job(2000));
    assert.equal(lagTrend(series), 100);
  });
});
