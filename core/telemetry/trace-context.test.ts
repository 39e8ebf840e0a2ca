import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { isSampled, parseTraceparent } from './trace-context.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';

suite('trace context', () => {
  test('a header of version 00, sampled or not', () => {
    assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-01`), { traceId, spanId, sampled: true });
    assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-00`), { traceId, spanId, sampled: false });
    assert.equal(parseTraceparent(`00-${traceId}-${spanId}-03`)?.sampled, true);
  });

  test('of a later version what is known is read', () => {
    assert.deepEqual(parseTraceparent(`cc-${traceId}-${spanId}-01-what-else`), { traceId, spanId, sampled: true });
  });

  test('what the recommendation calls invalid is none', () => {
    for (const text of [
      '',
      'x',
      `00-${traceId}-${spanId}`,
      `00-${traceId}-${spanId}-01-more`,
      `ff-${traceId}-${spanId}-01`,
      `00-${'0'.repeat(32)}-${spanId}-01`,
      `00-${traceId}-${'0'.repeat(16)}-01`,
      `00-${traceId.toUpperCase()}-${spanId}-01`,
      ` 00-${traceId}-${spanId}-01`,
    ])
      assert.equal(parseTraceparent(text), null, text);
  });

  test('a part of the traces is sampled, always the same ones', () => {
    const ids = Array.from({ length: 1000 }, (_, n) =>
      (BigInt(n) * 0x9e3779b97f4a7c15n).toString(16).padStart(32, '0').slice(-32),
    );
    const kept = (ratio: number): string[] => ids.filter((id) => isSampled(id, ratio));
    assert.equal(kept(1).length, 1000);
    assert.equal(kept(0).length, 0);
    const tenth = kept(0.1);
    assert.ok(tenth.length > 50 && tenth.length < 200, `${tenth.length} of 1000`);
    assert.ok(
      tenth.every((id) => isSampled(id, 0.5)),
      'who is in a tenth is in a half',
    );
  });
});
