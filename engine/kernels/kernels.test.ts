import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { crc32c } from '../../core/crc32c.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { Lz4Compressor, lz4Decompress, lz4FrameByKernel, lz4FrameBytesMax } from '../codecs/lz4.ts';
import { batchesOf, makeUsers, taskOf, userPlan, userRecord, userTableSink } from '../created-users.fixture.ts';
import { compileStage } from '../run-stage.ts';
import type { StageTask } from '../stage.ts';
import { KernelArena } from './kernel-arena.ts';
import { threadKernels } from './kernels.ts';

const kernels = threadKernels();
assert.ok(kernels !== null);
const { run, bytes: memory, areaStart } = kernels;

test('checksums of any bytes, at any address, in pieces', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 100 }),
      fc.integer({ min: 0, max: 60_000 }),
      fc.integer({ min: 0, max: 70 }),
      fc.nat({ max: 0xffffffff }),
      (pattern, length, shift, seed) => {
        // Not periodic, so that bytes at the wrong place show.
        const at = areaStart + shift;
        for (let index = 0; index < length; index++)
          memory[at + index] = pattern[index % pattern.length]! ^ (Math.imul(index, index) >>> 3);
        memory.fill(0xff, at + length, at + length + 64);
        assert.equal(run.crc32c(at, length, seed) >>> 0, crc32c(memory, at, at + length, seed));
        const half = length >>> 1;
        const first = run.crc32c(at, half, seed);
        assert.equal(run.crc32c(at + half, length - half, first), run.crc32c(at, length, seed));
      },
    ),
    { numRuns: 300 },
  );
});

test('checksums of every length around those where near and far folding begin, and where a tile ends', () => {
  for (let index = 0; index < 60_000; index++) memory[areaStart + index] = Math.imul(index, 7919) >>> 5;
  const ranges = [
    [900, 1300, 1],
    [12_200, 12_500, 1],
    [16_384 + 5_280 - 70, 16_384 + 5_280 + 140, 1],
    [2 * 16_384 + 5_280 - 70, 2 * 16_384 + 5_280 + 140, 3],
  ] as const;
  for (const [from, to, step] of ranges)
    for (let length = from; length < to; length += step)
      assert.equal(run.crc32c(areaStart, length, 0) >>> 0, crc32c(memory, areaStart, areaStart + length), `${length}`);
});

test('LZ4 frames are those of the twin, and within their bound', () => {
  const compressor = new Lz4Compressor();
  const chunk = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc
      .tuple(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 3000 }))
      .map(([part, times]) => Buffer.alloc(part.byteLength * times, part)),
    // What does not compress, longer than a block.
    fc
      .nat()
      .map((seed) => Uint8Array.from({ length: 70_000 }, (_, index) => Math.imul(index + seed, 0x9e3779b1) >>> 24)),
  );
  fc.assert(
    fc.property(fc.array(chunk, { maxLength: 4 }), (chunks) => {
      const source = Buffer.concat(chunks);
      const to = areaStart + source.byteLength + 64;
      memory.set(source, areaStart);
      const most = lz4FrameBytesMax(source.byteLength);
      memory.fill(0xee, to, to + most + 64);
      const end = lz4FrameByKernel(kernels, areaStart, areaStart + source.byteLength, to);
      const twin = new ByteBuffer();
      compressor.compress(source, 0, source.byteLength, twin);
      const frame = memory.slice(to, end);
      assert.deepEqual(frame, twin.bytes.slice(0, twin.length));
      assert.ok(memory.subarray(to + Math.ceil(most), to + most + 64).every((byte) => byte === 0xee));
      const back = new ByteBuffer();
      lz4Decompress(frame, 0, frame.byteLength, back);
      assert.ok(source.equals(back.bytes.subarray(0, back.length)));
    }),
    { numRuns: 60 },
  );
});

test('kernel memory has one user at a time', () => {
  const [first, second] = [new KernelArena(), new KernelArena()];
  assert.equal(first.enter(), true);
  assert.equal(second.enter(), false);
  assert.equal(second.kernels, null);
  second.append(Uint8Array.of(1, 2, 3));
  assert.deepEqual(second.bytes.slice(0, second.length), Uint8Array.of(1, 2, 3));
  assert.equal(first.enter(), true, 'the same user goes on with the next chunk');
  first.leave();
  assert.equal(second.enter(), true);
  assert.equal(second.length, 0);
  second.leave();
});

test('content that outgrows kernel memory moves out, and what stood there stays', () => {
  const arena = new KernelArena();
  assert.ok(arena.enter());
  try {
    const array = arena.allocate(1000);
    assert.ok(array > 0);
    memory.fill(7, array, array + 1000);
    arena.append(Uint8Array.of(1, 2, 3));
    arena.reserve(memory.byteLength / 2);
    assert.notEqual(arena.kernels, null);
    arena.append(new Uint8Array(memory.byteLength).fill(9));
    assert.equal(arena.kernels, null);
    assert.deepEqual(arena.bytes.slice(0, 5), Uint8Array.of(1, 2, 3, 9, 9));
    assert.ok(memory.subarray(array, array + 1000).every((byte) => byte === 7));
    assert.equal(arena.allocate(memory.byteLength), 0);
    arena.clear();
    assert.notEqual(arena.kernels, null, 'the next chunk begins inside again');
  } finally {
    arena.leave();
  }
});

test('arrays never overlap the content', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 4_000_000 }), { maxLength: 30 }), (sizes) => {
      const arena = new KernelArena();
      assert.ok(arena.enter());
      try {
        const arrays: { readonly at: number; readonly size: number }[] = [];
        sizes.forEach((size, index) => {
          if (index % 2 === 0) arena.append(new Uint8Array(size));
          else {
            const at = arena.allocate(size);
            if (at > 0) arrays.push({ at, size });
          }
        });
        const contentEnd = arena.kernels === null ? arena.base : arena.base + arena.length;
        const sorted = arrays.sort((a, b) => a.at - b.at);
        sorted.forEach(({ at }, index) => {
          const before = sorted[index - 1];
          assert.ok(at >= (before === undefined ? contentEnd + 64 : before.at + before.size));
        });
      } finally {
        arena.leave();
      }
    }),
    { numRuns: 50 },
  );
});

test('a stage gives the same with and without kernels', () => {
  const next = makeUsers(3);
  const records = Array.from({ length: 400 }, (_, index) =>
    userRecord(index % 50 === 49 ? '{"id":"x","post_code":"none"}' : next(), 1_700_000_000_000 + index),
  );
  const task = (): StageTask => taskOf(batchesOf(records, 100));
  const sinks = [userTableSink, { kind: 'blackhole', name: 'b' }] as const;
  const withKernels = compileStage(userPlan(sinks)).run(task());
  const other = new KernelArena();
  assert.ok(other.enter());
  try {
    assert.deepEqual(compileStage(userPlan(sinks)).run(task()), withKernels);
  } finally {
    other.leave();
  }
  assert.equal(withKernels.counters.dead, 8);
});
