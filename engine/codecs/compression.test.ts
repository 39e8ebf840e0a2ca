import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { isWeirError, WeirError } from '../../core/errors.ts';
import { compressionCodes } from '../../core/record-batch-encoder.ts';
import type { Compression } from '../../core/record-batch-encoder.ts';
import { ByteBuffer } from '../byte-buffer.ts';
import { KernelArena } from '../kernels/kernel-arena.ts';
import { KERNEL_SLACK_BYTES } from '../kernels/kernels.ts';
import { Compressor, decompress } from './compression.ts';
import { xxh32 } from './xxh32.ts';

const codecs = Object.keys(compressionCodes) as Compression[];
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const corrupt = (error: unknown): boolean => isWeirError(error, 'BATCH_CORRUPT');

/** Decompresses in kernel memory and outside of it, which must give the same bytes or the same words. */
function unpack(codec: Compression, packed: Uint8Array): Uint8Array {
  const plain = outcome(() => unpackInto(codec, packed, new ByteBuffer(16), (framed) => ({ source: framed, at: 0 })));
  const arena = new KernelArena();
  const kernel = outcome(() => {
    assert.ok(arena.enter());
    try {
      return unpackInto(codec, packed, arena, (framed) => {
        const at = arena.allocate(framed.byteLength + KERNEL_SLACK_BYTES);
        assert.ok(arena.memory !== null && at > 0);
        arena.memory.bytes.set(framed, at);
        return { source: arena.memory.bytes, at };
      });
    } finally {
      arena.leave();
    }
  });
  assert.deepEqual(kernel, plain);
  if (plain instanceof Error) throw plain;
  return plain;
}

function outcome(run: () => Uint8Array): Uint8Array | Error {
  try {
    return run();
  } catch (error) {
    if (error instanceof WeirError) return error;
    throw error;
  }
}

function unpackInto(
  codec: Compression,
  packed: Uint8Array,
  target: ByteBuffer,
  place: (framed: Uint8Array) => { readonly source: Uint8Array; readonly at: number },
): Uint8Array {
  target.append(bytesOf('before'));
  // Neighbours on both sides must neither be read nor written.
  const { source, at } = place(Uint8Array.from([1, 2, 3, ...packed, 4, 5, 6]));
  decompress(compressionCodes[codec], source, at + 3, at + 3 + packed.byteLength, target);
  assert.deepEqual(target.bytes.slice(0, 6), bytesOf('before'));
  return target.bytes.slice(6, target.length);
}

function pack(codec: Compression, bytes: Uint8Array): Uint8Array {
  const target = new ByteBuffer(16);
  new Compressor(codec).compress(bytes, 0, bytes.byteLength, target);
  return target.copy();
}

/** What is worth compressing: runs, repeats, and bytes without any order. */
const content = fc
  .array(
    fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((bytes) => [...bytes]),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 400 }))
        .map(([bytes, times]) => Array.from({ length: times }, () => [...bytes]).flat()),
    ),
    { maxLength: 6 },
  )
  .map((parts) => Uint8Array.from(parts.flat()));

for (const codec of codecs) {
  test(`${codec}: what was compressed comes back`, () => {
    fc.assert(
      fc.property(content, (bytes) => {
        assert.deepEqual(unpack(codec, pack(codec, bytes)), bytes);
      }),
      { numRuns: 200 },
    );
    const large = Uint8Array.from({ length: 300_000 }, (_, index) => (index * index) >>> (index % 7));
    assert.deepEqual(unpack(codec, pack(codec, large)), large);
  });
}

// Written by the reference implementations of LZ4 and Snappy; wrapped in gzip to be short here.
const fixtures: readonly (readonly [string, string])[] = [
  [
    'linked 64 KiB blocks, content checksum and size',
    'H4sIAAAAAAACA2NR8pXwcfjgycQAAlK6jAwM//mqlfISc1OVrJTKUzOLlHSU8pSsDAyNjE1MzcwtLLkYGOVrjRj+j3CwLQAcILzA' +
      'AON89p//zkgPj/+3A8CppAqYjOoRSeU/ay2W1KTBwMgmwsBPxVR0JQBkYS0oET/32X0OAOjiCLTXAgAA',
  ],
  [
    'independent blocks with block checksums',
    'H4sIAAAAAAACA2NR8pUocFiry8jA8J+vWikvMTdVyUqpPDWzSElHKU/JysDQyNjE1MzcwpKLgVG+1ojh/wgH2wLAAeLi1JRjDAy0' +
      'b0LAoEEEUi2WIJRj4AeGHf9o0K0MAKencuNrPjUMDAxroWEGFOJi+M+KLeg0GBjZRBioGXRXAsDR9NPjlivQCQwAB9E/Wv8CAAA=',
  ],
  [
    'one 4 MiB block',
    'H4sIAAAAAAACA2NR8pVICPhdwcTA8J+vWikvMTdVyUqpPDWzSElHKU/JysDQyNjE1MzcwpKLgVG+1ojh/ygYBdQBHwNA6aqWAQgA' +
      'JBB8NIcCAAA=',
  ],
  [
    'a raw Snappy block',
    'H4sIAAAAAAACA+3XrQ6CcBRA8VsIkikUw53BYNAr35HMeAcDwSBzFgNjI1t9T+YTMP+BzUK2cLbfE5x2Pu/NvdP2cmu00GdzfehB' +
      'Wy2OJztHcZJmee2L9JMJAAAAgDVITAY3Ar8l6BeGIdy6UaAVAAAAsAajiWe7+Q/cKZS+VEubUO8lDMgF/NPL5AsCSGiE6RsAAA==',
  ],
];
const fixtureText = bytesOf(`{"name":"weir","n":${'0123456789'.repeat(3)}}`.repeat(3200)).subarray(0, 150_000);

for (const [name, data] of fixtures) {
  test(`read from another writer: ${name}`, () => {
    const packed = gunzipSync(Buffer.from(data, 'base64'));
    assert.deepEqual(unpack(name.includes('Snappy') ? 'snappy' : 'lz4', packed), fixtureText);
  });
}

test('a stored LZ4 block, and frames one behind the other', () => {
  const frame = Buffer.from('BCJNGGBAgigAAIAikdjNwxBBHn7Cc3imYck1GHwH5NVjbpvDxACyckS4zTqX8RrmUQcFAAAAAA==', 'base64');
  const bytes = Buffer.from('2291d8cdc310411e7ec27378a661c935187c07e4d5636e9bc3c400b27244b8cd3a97f11ae6510705', 'hex');
  const skippable = Buffer.from([0x53, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9]);
  assert.deepEqual(Buffer.from(unpack('lz4', Buffer.concat([frame, skippable, frame]))), Buffer.concat([bytes, bytes]));
});

test('Snappy is written in the framing of Java’s client', () => {
  assert.deepEqual(
    Buffer.from(pack('snappy', bytesOf('abc')))
      .subarray(0, 16)
      .toString('hex'),
    '82534e41505059000000000100000001',
  );
});

test('damaged bytes are refused, or give something, but never more than allowed', () => {
  const damages = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 });
  for (const codec of codecs) {
    const packed = pack(codec, fixtureText.subarray(0, 70_000));
    fc.assert(
      fc.property(damages, fc.nat(), fc.boolean(), (changes, cut, isCut) => {
        const damaged = packed.slice(0, isCut ? cut % packed.byteLength : packed.byteLength);
        for (const [at, byte] of changes) if (damaged.byteLength > 0) damaged[at % damaged.byteLength] = byte;
        try {
          unpack(codec, damaged);
        } catch (error) {
          assert.ok(corrupt(error), String(error));
        }
      }),
      { numRuns: 150 },
    );
  }
});

test('more than 64 MiB is a bomb', () => {
  const target = new ByteBuffer();
  const bomb = new Uint8Array(65 * 1024 * 1024);
  for (const codec of codecs) {
    if (codec === 'none') continue;
    const packed = pack(codec, bomb);
    target.clear();
    assert.throws(() => decompress(compressionCodes[codec], packed, 0, packed.byteLength, target), corrupt, codec);
  }
});

test('an unknown codec', () => {
  assert.throws(() => decompress(6, new Uint8Array(8), 0, 8, new ByteBuffer()), corrupt);
});

test('xxh32: published values', () => {
  const hash = (text: string): number => xxh32(bytesOf(text), 0, text.length);
  assert.equal(hash(''), 0x02cc5d05);
  assert.equal(hash('a'), 0x550d7456);
  assert.equal(hash('abc'), 0x32d153ff);
  assert.equal(hash('Nobody inspects the spammish repetition'), 0xe2293b2f);
});
