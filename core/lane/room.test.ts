import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { LaneLimits } from './room.ts';
import { hasRoom } from './room.ts';

const limits: LaneLimits = {
  fetchBytes: 1000,
  inFlightBytes: 10_000,
  inFlightChunks: 8,
  unprocessedChunks: 2,
  smallChunks: 2,
  smallChunkBytes: 100,
};

describe('room of a lane', () => {
  test('a lane with nothing in flight always reads', () => {
    assert.ok(hasRoom({ bytes: 0, chunks: 0, unprocessed: 0 }, limits));
  });

  test('small chunks wait for the ones before them, large ones do not', () => {
    assert.ok(hasRoom({ bytes: 1, chunks: 1, unprocessed: 0 }, limits));
    assert.ok(!hasRoom({ bytes: 199, chunks: 2, unprocessed: 0 }, limits));
    assert.ok(hasRoom({ bytes: 200, chunks: 2, unprocessed: 0 }, limits));
    assert.ok(!hasRoom({ bytes: 599, chunks: 6, unprocessed: 0 }, limits));
    assert.ok(hasRoom({ bytes: 600, chunks: 6, unprocessed: 0 }, limits));
  });

  test('bytes, chunks and stages that wait are bounded', () => {
    assert.ok(!hasRoom({ bytes: 10_000, chunks: 1, unprocessed: 0 }, limits));
    assert.ok(!hasRoom({ bytes: 9000, chunks: 8, unprocessed: 0 }, limits));
    assert.ok(!hasRoom({ bytes: 9000, chunks: 4, unprocessed: 2 }, limits));
  });
});
