import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isWeirError } from '../../core/errors.ts';
import { MemoryPool } from '../../core/memory-pool.ts';
import type { FetchedPartition, ReceivedAnswer } from './fetch-answers.ts';
import { FetchAnswers } from './fetch-answers.ts';
import { WireWriter } from './wire.ts';

interface Given {
  readonly correlationId: number;
  readonly throttleTimeMs: number;
  readonly errorCode: number;
  readonly partitions: readonly FetchedPartition[];
  /** Bytes of a tag that a later version might add, everywhere. */
  readonly tag: Uint8Array | null;
}

const i16 = fc.integer({ min: -(2 ** 15), max: 2 ** 15 - 1 });
const i32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const i64 = fc.maxSafeInteger();

/** Objects as the code under test makes them. */
function plain<T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true });
}

const givens = plain({
  correlationId: i32,
  throttleTimeMs: i32,
  errorCode: i16,
  partitions: fc.array(
    plain({
      partition: i32,
      errorCode: i16,
      highWatermark: i64,
      lastStableOffset: i64,
      logStartOffset: i64,
      aborted: fc.array(plain({ producerId: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), firstOffset: i64 })),
      records: fc.uint8Array({ maxLength: 40_000, size: 'max' }).map((bytes) => Buffer.from(bytes)),
    }),
    { maxLength: 4 },
  ),
  tag: fc.option(fc.uint8Array({ maxLength: 40 })),
}) as unknown as fc.Arbitrary<Given>;

function framed(given: Given): Buffer {
  const body = new WireWriter();
  const tags = (): void => {
    if (given.tag === null) body.noTags();
    else body.uvarint(1).uvarint(9).uvarint(given.tag.byteLength).raw(given.tag);
  };
  body.i32(given.correlationId);
  tags();
  body.i32(given.throttleTimeMs).i16(given.errorCode).i32(0);
  body.compactArray([given.partitions], (partitions) => {
    body.raw(new Uint8Array(16));
    body.compactArray(partitions, (each) => {
      body.i32(each.partition).i16(each.errorCode);
      body.i64(each.highWatermark).i64(each.lastStableOffset).i64(each.logStartOffset);
      if (each.aborted.length === 0) body.uvarint(0);
      else
        body.compactArray(each.aborted, ({ producerId, firstOffset }) => {
          const id = Buffer.alloc(8);
          id.writeBigInt64BE(producerId);
          body.raw(id).i64(firstOffset);
          tags();
        });
      body.i32(-1);
      if (each.records.byteLength === 0) body.uvarint(0);
      else body.uvarint(each.records.byteLength + 1).raw(each.records);
      tags();
    });
    tags();
  });
  tags();
  const bytes = Buffer.from(body.finish());
  return Buffer.concat([new WireWriter().i32(bytes.byteLength).finish(), bytes]);
}

/**
 * What comes of the bytes in pieces of these lengths, the last one again and again; each piece is overwritten.
 * `inPlace`: what has a place of its own is put there.
 */
function receive(bytes: Uint8Array, lengths: readonly number[], inPlace = false): ReceivedAnswer[] {
  const received: ReceivedAnswer[] = [];
  const answers = new FetchAnswers(new MemoryPool(), (answer) => received.push(answer));
  for (let at = 0, piece = 0; at < bytes.byteLength; piece++) {
    const length = lengths[Math.min(piece, lengths.length - 1)] ?? 1;
    const room = inPlace ? answers.room : null;
    const part = bytes.slice(at, at + (room === null ? length : Math.min(length, room.byteLength)));
    if (room === null) answers.push(part);
    else {
      room.set(part);
      answers.put(part.byteLength);
    }
    part.fill(0xee);
    at += part.byteLength;
  }
  return received;
}

test('answers come out as they were sent, in whatever pieces they arrive', () => {
  const pieces = fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1 });
  fc.assert(
    fc.property(fc.array(givens, { maxLength: 3 }), pieces, fc.boolean(), (all, lengths, inPlace) => {
      const received = receive(Buffer.concat(all.map(framed)), lengths, inPlace);
      assert.deepEqual(
        received.map(({ correlationId, answer }, index) => ({ correlationId, ...answer, tag: all[index]?.tag })),
        all,
      );
      for (const { records } of received.flatMap(({ answer }) => answer.partitions))
        assert.equal(records.byteOffset, 0);
    }),
    { numRuns: 60 },
  );
});

test('records lie in memory of their own', () => {
  const partition = {
    partition: 1,
    errorCode: 0,
    highWatermark: 1,
    lastStableOffset: 1,
    logStartOffset: 0,
    aborted: [],
  };
  const partitions = [1, 2].map((byte) => ({ ...partition, records: Buffer.alloc(20_000, byte) }));
  const bytes = framed({
    correlationId: 1,
    throttleTimeMs: 0,
    errorCode: 0,
    partitions,
    tag: null,
  } as unknown as Given);
  const [a, b] = receive(bytes, [7000])[0]?.answer.partitions ?? [];
  assert.ok(a !== undefined && b !== undefined);
  assert.notEqual(a.records.buffer, b.records.buffer);
  new Uint8Array(a.records.buffer).fill(9);
  assert.ok(b.records.every((byte) => byte === 2));
});

test('lengths that do not fit each other are refused', () => {
  const partition = {
    partition: 1,
    errorCode: 0,
    highWatermark: 1,
    lastStableOffset: 1,
    logStartOffset: 0,
    aborted: [],
  };
  const partitions = [{ ...partition, records: Buffer.alloc(300) }];
  const bytes = framed({
    correlationId: 1,
    throttleTimeMs: 0,
    errorCode: 0,
    partitions,
    tag: null,
  } as unknown as Given);
  const refused = (error: unknown): boolean => isWeirError(error, 'SOURCE_UNAVAILABLE');
  const short = Buffer.from(bytes);
  short.writeInt32BE(100);
  assert.throws(() => receive(short, [bytes.byteLength]), refused);
  short.writeInt32BE(-1);
  assert.throws(() => receive(short, [bytes.byteLength]), refused);
});
