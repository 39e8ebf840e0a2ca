/** Dead letters on real Cassandra: the statements that find, read and delete them. */
import assert from 'node:assert/strict';
import { after, before, suite, test } from 'node:test';
import { makeConnections } from '../connectors/connections.ts';
import { systemClock, systemRng } from '../connectors/system/clock.ts';
import { deadLetterReasons } from '../core/errors.ts';
import type { Connections } from '../core/ports.ts';
import { deadLetterShape, deadLetterTable } from '../engine/dead-letters.ts';
import { noLog } from '../test/conformance/no-log.ts';
import { globalServices, uniqueName } from '../test/services/services.ts';
import { DeadLetterDesk } from './dead-letter-desk.ts';

const services = globalServices();
const always = { valid: () => true, check: () => undefined };

/** A row as the threads of workers write it. */
function row(job: string, run: number, partition: number, offset: number, value: string): Buffer {
  const sized = (bytes: Buffer): Buffer => Buffer.concat([int(bytes.byteLength), bytes]);
  const int = (number: number): Buffer => {
    const bytes = Buffer.alloc(4);
    bytes.writeInt32BE(number);
    return bytes;
  };
  const long = (number: number): Buffer => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64BE(BigInt(number));
    return bytes;
  };
  const text = (word: string): Buffer => sized(Buffer.from(word));
  const body = Buffer.concat([
    text(job),
    sized(int(run)),
    text('users'),
    sized(int(partition)),
    sized(long(Math.floor(offset / 65_536))),
    sized(long(offset)),
    text(deadLetterReasons[0]),
    text("it's here"),
    sized(long(1_700_000_000_000 + offset)),
    int(-1),
    text(value),
    sized(int(value.length)),
    sized(long(1_700_000_000_000_000 + offset)),
  ]);
  return Buffer.concat([int(body.byteLength), Buffer.alloc(4), body]);
}

suite('dead letters on Cassandra', { timeout: 240_000 }, () => {
  let connections: Connections;
  let desk: DeadLetterDesk;
  const job = uniqueName('dead').replaceAll('_', '-');

  before(async () => {
    const { address } = await services.cassandra();
    connections = makeConnections(
      { CASSANDRA_CONTACT_POINTS: address },
      { clock: systemClock, rng: systemRng, log: noLog },
    );
    desk = new DeadLetterDesk(connections, systemClock);
    const tables = connections.tables('cassandra', {});
    await tables.create(deadLetterTable, { addColumns: true });
    const writer = await tables.open(deadLetterShape);
    const rows = [
      row(job, 1, 0, 5, 'old'),
      row(job, 2, 0, 7, 'a'),
      row(job, 2, 0, 70_000, 'b'),
      row(job, 2, 1, 3, 'c'),
      row(`${job}-x`, 1, 0, 1, 'of another'),
    ];
    await writer.write({ bytes: Buffer.concat(rows), rowCount: rows.length }, always);
    await writer.close();
  });

  after(async () => await connections?.close());

  const places = (found: Awaited<ReturnType<DeadLetterDesk['list']>>): string[] =>
    found.letters.map(
      ({ run, partition, offset, value }) =>
        `${run}/${partition}/${offset} ${Buffer.from(value ?? '', 'base64').toString()}`,
    );

  test('listed over runs, partitions and buckets, newest first', async () => {
    assert.deepEqual(places(await desk.list(job, { limit: 10 })), ['2/0/70000 b', '2/0/7 a', '2/1/3 c', '1/0/5 old']);
    const two = await desk.list(job, { limit: 2 });
    assert.deepEqual([places(two), two.more], [['2/0/70000 b', '2/0/7 a'], true]);
    assert.deepEqual(
      places(await desk.list(job, { limit: 10, topic: 'users', partition: 0, before: 70_000, run: 2 })),
      ['2/0/7 a'],
    );
    const [first] = (await desk.list(job, { limit: 1 })).letters;
    assert.deepEqual(
      [first?.place, first?.recordTime, first?.valueBytes, first?.key],
      ["it's here", 1_700_000_070_000, 1, null],
    );
    assert.deepEqual((await desk.list(`${job}-y`, { limit: 1 })).letters, []);
  });

  test('deleted by place', async () => {
    assert.equal(
      await desk.purge(job, [
        { run: 2, topic: 'users', partition: 0, offset: 70_000 },
        { run: 2, topic: 'users', partition: 0, offset: 8 },
      ]),
      1,
    );
    assert.deepEqual(places(await desk.list(job, { limit: 10 })), ['2/0/7 a', '2/1/3 c', '1/0/5 old']);
  });
});
