import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import kafkajs from 'kafkajs';
import { murmur2, partitionOfKey } from './murmur2.ts';

const text = (value: string): Uint8Array => new TextEncoder().encode(value);

test("the values of the Java client's own test", () => {
  const known = [
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ] as const;
  for (const [key, hash] of known) assert.equal(murmur2(text(key)), hash, key);
});

test('any key goes where another Kafka client puts it', () => {
  const otherClient = kafkajs.Partitioners.DefaultPartitioner();
  const metadata = Array.from({ length: 7 }, (_, partitionId) => ({ partitionId, leader: 1 }));
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 40 }), (key) => {
      const message = { key: Buffer.from(key), value: null };
      const theirs = otherClient({ topic: 't', partitionMetadata: metadata as never, message });
      assert.equal(partitionOfKey(key, 7), theirs);
    }),
  );
});
