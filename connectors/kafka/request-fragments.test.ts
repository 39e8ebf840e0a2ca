import assert from 'node:assert/strict';
import { test } from 'node:test';
import { partition } from '../../core/ids.ts';
import { RequestFragments } from './request-fragments.ts';
import { apis, produceRequest } from './requests.ts';

/** A socket that remembers what it was given, and a request as kafkajs frames it. */
function fixture(): {
  readonly given: Uint8Array[];
  write(bytes: Uint8Array): void;
  readonly fragments: RequestFragments;
} {
  const given: Uint8Array[] = [];
  const socket = {
    write: (bytes: Uint8Array) => given.push(bytes) > 0,
    cork: () => undefined,
    uncork: () => undefined,
  };
  return { given, write: (bytes) => socket.write(bytes), fragments: new RequestFragments(socket, apis.produce.key) };
}

function framed(apiKey: number, body: Uint8Array): Buffer {
  const header = Buffer.alloc(12);
  header.writeInt32BE(8 + body.byteLength, 0);
  header.writeInt16BE(apiKey, 4);
  header.writeInt16BE(7, 6);
  header.writeInt32BE(99, 8);
  return Buffer.concat([header, body]);
}

test('a request with a ticket goes out with its fragments, which are not copied', () => {
  const { given, write, fragments } = fixture();
  const large = new Uint8Array(1000).fill(7);
  write(framed(apis.produce.key, fragments.ticketFor(Uint8Array.of(1, 2), [large, Uint8Array.of(3)])));
  assert.ok(given.includes(large), 'the very same bytes');
  assert.deepEqual(
    Buffer.concat(given),
    framed(apis.produce.key, Buffer.concat([Buffer.of(1, 2), large, Buffer.of(3)])),
  );
});

test('tickets are redeemed in any order, and other requests pass in between', () => {
  const { given, write, fragments } = fixture();
  const [first, second] = [1, 2].map((value) => framed(0, fragments.ticketFor(Buffer.of(), [Buffer.of(value)])));
  assert.ok(first !== undefined && second !== undefined);
  const other = framed(apis.metadata.key, Buffer.from('no ticket here'));
  for (const request of [second, other, first]) write(request);
  const bodies = [framed(0, Buffer.of(2)), other, framed(0, Buffer.of(1))];
  assert.deepEqual(Buffer.concat(given), Buffer.concat(bodies));
});

test('a Produce request has each batch behind its partition', () => {
  const batch = (partitionIndex: number, topic: string, size: number) => ({
    topic,
    partition: partition(partitionIndex),
    batch: new Uint8Array(size).fill(partitionIndex + 1),
  });
  const batches = [batch(0, 'a', 3), batch(1, 'b', 2), batch(2, 'a', 1)];
  const { body, fragments = [] } = produceRequest(batches, 4000);
  assert.deepEqual(fragments.filter((fragment) => batches.some((each) => each.batch === fragment)).length, 3);
  // No transactional id, acks -1, timeout, two topics.
  const start = [0xff, 0xff, 0xff, 0xff, 0, 0, 0x0f, 0xa0, 0, 0, 0, 2];
  const topicA = [0, 1, 0x61, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 1, 1, 1, 0, 0, 0, 2, 0, 0, 0, 1, 3];
  const topicB = [0, 1, 0x62, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2, 2, 2];
  assert.deepEqual(Buffer.concat([body, ...fragments]), Buffer.from([...start, ...topicA, ...topicB]));
});
