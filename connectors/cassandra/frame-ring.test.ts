import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { createRequire } from 'node:module';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'node:test';
import fc from 'fast-check';
import { COALESCED_BYTES, FrameRing } from './frame-ring.ts';

/** Mostly about as large as frames are, some at the limits. */
const sizes = fc.array(
  fc.oneof(
    fc.integer({ min: 1, max: 20_000 }),
    fc.constantFrom(1, COALESCED_BYTES - 1, COALESCED_BYTES, 128 * 1024 - 1, 128 * 1024, 128 * 1024 + 1, 300_000),
  ),
  { minLength: 1, maxLength: 60 },
);

test('frames that one turn of the queue asks for lie beside each other', () => {
  fc.assert(
    fc.property(sizes, (frames) => {
      const ring = new FrameRing();
      for (let next = 0; next < frames.length;) {
        const taken: Buffer[] = [];
        for (let total = 0; next < frames.length && total < COALESCED_BYTES; next++) {
          const frame = ring.take(frames[next]!);
          assert.equal(frame.byteLength, frames[next]);
          frame.fill(taken.length + 1);
          total += frame.byteLength;
          taken.push(frame);
        }
        for (const [index, frame] of taken.entries())
          assert.ok(frame.equals(Buffer.alloc(frame.byteLength, index + 1)), `frame ${index} was overwritten`);
      }
    }),
    { numRuns: 50 },
  );
});

test('memory is used again, unless a frame is too large for it', () => {
  const ring = new FrameRing();
  const memories = new Set(Array.from({ length: 200 }, () => ring.take(16_000).buffer));
  assert.equal(memories.size, 1);
  assert.ok(!memories.has(ring.take(200_000).buffer));
});

test("the driver's queue has copied a frame before it asks for those that overwrite it", async () => {
  const load = createRequire(import.meta.url);
  const { WriteQueue } = load('cassandra-driver/lib/writers.js') as {
    WriteQueue: new (
      socket: unknown,
      encoder: unknown,
      options: unknown,
    ) => { push(operation: unknown, onWritten: (error?: Error) => void): void };
  };
  const sent: Buffer[] = [];
  const socket = Object.assign(new EventEmitter(), {
    // Looks at the bytes later than a real socket would.
    write: (bytes: Buffer, onSent: () => void) => {
      sent.push(bytes);
      setImmediate(onSent);
      return true;
    },
  });
  const ring = new FrameRing();
  const queue = new WriteQueue(socket, {}, { socketOptions: { coalescingThreshold: COALESCED_BYTES } });
  const frames = Array.from({ length: 300 }, (_, index) => ({
    bytes: 1 + ((index * 7919) % 30_000),
    fill: index % 251,
  }));
  for (const { bytes, fill } of frames) {
    const request = { write: () => ring.take(bytes).fill(fill) };
    queue.push({ canBeWritten: () => true, streamId: 1, request }, (error) => assert.equal(error, undefined));
  }
  const total = frames.reduce((sum, { bytes }) => sum + bytes, 0);
  while (sent.reduce((sum, { byteLength }) => sum + byteLength, 0) < total) await turn();
  assert.ok(Buffer.concat(sent).equals(Buffer.concat(frames.map(({ bytes, fill }) => Buffer.alloc(bytes, fill)))));
});
