import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { EpochPace, nextSpanMs } from './epoch-size.ts';

describe('size of an epoch', () => {
  test('before the first epoch nothing is planned that was not read', () => {
    assert.equal(new EpochPace().next.records, 0);
  });

  test('quick epochs are followed by larger ones, slow ones by smaller ones', () => {
    const pace = new EpochPace();
    pace.done(1000, 0, 10);
    assert.equal(pace.next.records, 2000, 'no more than twice as large');
    pace.done(2000, 10, 210);
    assert.equal(pace.next.records, 2500);
    pace.done(2500, 210, 1210);
    assert.equal(pace.next.records, 625);
  });

  test('an epoch that was planned before the last one was done took its time only from then on', () => {
    const pace = new EpochPace();
    pace.done(1000, 0, 1000);
    pace.done(1000, 100, 1500);
    assert.equal(pace.next.records, 500);
  });

  test('epochs without records say nothing', () => {
    const pace = new EpochPace();
    pace.done(1000, 0, 250);
    pace.done(0, 250, 251);
    assert.equal(pace.next.records, 1000);
  });
});

test('steps of record time follow what they bring, and never leave what a source can be asked', () => {
  const size = { records: 800, bytes: 1 << 20 };
  assert.equal(nextSpanMs(4000, 801, size), 1000);
  assert.equal(nextSpanMs(4000, 500, size), 4000);
  assert.equal(nextSpanMs(4000, 99, size), 8000);
  let spanMs = 1;
  for (let step = 0; step < 2000; step++) spanMs = nextSpanMs(spanMs, 0, size);
  assert.equal(spanMs, 86_400_000);
});
