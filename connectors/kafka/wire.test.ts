import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { offset, partition, topicId } from '../../core/ids.ts';
import { encodeRecordBatch } from '../../core/record-batch-encoder.ts';
import { apis, fetchRequest, metadataRequest, throttleTimeMs } from './requests.ts';
import { wholeBatchesBytes } from './whole-batches.ts';
import { WireReader, WireWriter } from './wire.ts';

test('what is written is read back, whatever the capacity', () => {
  const i32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  const uint = fc.integer({ min: 0, max: 2 ** 32 - 1 });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(i32, fc.maxSafeInteger(), fc.string({ unit: 'grapheme' }), uint)),
      fc.integer({ min: 1, max: 64 }),
      (items, capacity) => {
        const writer = new WireWriter(capacity);
        writer.compactArray(items, ([a, b, c, d]) =>
          writer.i32(a).i64(b).string(c).compactString(c).uvarint(d).noTags(),
        );
        writer.array(items, ([a]) => writer.i32(a)).nullString();
        const reader = new WireReader(writer.finish());
        const back = reader.compactArray(() => {
          const item = [reader.i32(), reader.i64(), reader.string(), reader.compactString(), reader.uvarint()];
          reader.skipTags();
          return item;
        });
        assert.deepEqual(
          back,
          items.map(([a, b, c, d]) => [a, b, c, c, d]),
        );
        assert.deepEqual(
          reader.array(() => reader.i32()),
          items.map(([a]) => a),
        );
        assert.equal(reader.string(), null);
        assert.throws(() => reader.i8(), /ends at byte/);
      },
    ),
  );
});

test('tags of later versions are skipped', () => {
  const reader = new WireReader(Buffer.from([2, 0, 1, 0xff, 5, 2, 1, 2, 42]));
  reader.skipTags();
  assert.equal(reader.i8(), 42);
});

test('a fetch names the topic by id; an id in another form becomes one that no topic has', () => {
  const id = Buffer.alloc(16, 7).toString('base64url');
  const at = { partition: partition(3), leaderEpoch: 2, offset: offset(2 ** 40), maxBytes: 1000 };
  const body = fetchRequest(topicId(id), [at], 100, 5000).body;
  assert.ok(body.includes(Buffer.alloc(16, 7)));
  assert.ok(fetchRequest(topicId('made up'), [at], 100, 5000).body.includes(Buffer.alloc(16, 0xff)));
});

test('metadata that is asked for creates no topic', () => {
  // … tags of the topic, allow_auto_topic_creation, include_topic_authorized_operations, tags
  assert.deepEqual([...metadataRequest(['t']).body.subarray(-4)], [0, 0, 0, 0]);
});

test('the time of silence a broker asks for stands first or last', () => {
  assert.equal(throttleTimeMs(apis.listOffsets, Buffer.from([0, 0, 0, 9, 1, 1])), 9);
  assert.equal(throttleTimeMs(apis.fetch, Buffer.from([0, 0, 0, 0, 9, 1, 1])), 9, 'after the tags of the header');
  assert.equal(throttleTimeMs(apis.produce, Buffer.from([1, 1, 0, 0, 0, 9])), 9);
});

test('a batch that was cut short is left out, and the rest comes whole', () => {
  const batch = encodeRecordBatch([{ key: null, value: Buffer.from('v'), timestampMs: 1 }]);
  const three = Buffer.concat([batch, batch, batch]);
  for (let length = 0; length <= three.byteLength; length++) {
    assert.equal(
      wholeBatchesBytes(three.subarray(0, length)),
      Math.floor(length / batch.byteLength) * batch.byteLength,
    );
  }
  const broken = Buffer.from(batch);
  broken.writeInt32BE(-1, 8);
  assert.equal(wholeBatchesBytes(broken), broken.byteLength, 'for the decoder to name');
});
