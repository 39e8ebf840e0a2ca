/**
 * Answers and requests of a real node that refuses what waited too long, on stream 0 instead of the request's own, behind
 * a line that holds bytes back and cuts them anywhere: every read gets the answer to what it asked, and every write that
 * was acknowledged is there.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { isWeirError } from '../../core/errors.ts';
import { changeJob } from '../../core/meta.ts';
import type { TableWriter } from '../../core/ports.ts';
import { parseCqlType } from '../../core/table/cql-type.ts';
import type { TableSchema } from '../../core/table/schema.ts';
import { sampleJob } from '../../test/conformance/meta-store.ts';
import { buildRows, shapeOf } from '../../test/conformance/rows.ts';
import { startCassandra, type Service } from '../../test/services/services.ts';
import { systemClock, systemRng } from '../system/clock.ts';
import { CassandraLookups } from './cassandra-lookup.ts';
import { CassandraClient } from './client.ts';
import { CassandraMetaStore } from './meta-store.ts';
import { CassandraTableStore } from './table-store.ts';

const RUN_MS = 25_000;
const WRITERS = 6;
const JOBS = 6;
const LOOKED_UP = 300;
const HEADER_BYTES = 9;
const OPCODE_ERROR = 0;
const permit = { valid: () => true, check: () => undefined };
const never = new AbortController().signal;

/** What a row with this id holds. */
const valueOf = (id: number): string => `${id}:${'x'.repeat((id * 37) % 500)}`;

const between = (low: number, high: number): number => low + Math.random() * (high - low);

/** Finds the frames in what a node sends, whatever pieces it comes in. */
class Frames {
  #bytes = Buffer.alloc(0);
  readonly #onFrame: (streamId: number, opcode: number) => void;

  constructor(onFrame: (streamId: number, opcode: number) => void) {
    this.#onFrame = onFrame;
  }

  push(bytes: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    while (this.#bytes.byteLength >= HEADER_BYTES) {
      const end = HEADER_BYTES + this.#bytes.readUInt32BE(5);
      if (this.#bytes.byteLength < end) return;
      this.#onFrame(this.#bytes.readInt16BE(2), this.#bytes.readUInt8(4));
      this.#bytes = this.#bytes.subarray(end);
    }
  }
}

/** A line to a node: bytes keep their order, but not their pieces and not their time. */
class Line {
  /** Refusals that name no request. */
  unaddressed = 0;
  connections = 0;
  /** Nothing arrives before then, either way. ms of performance.now() */
  #heldUntil = 0;
  readonly #port: number;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((client) => this.#serve(client));

  constructor(port: number) {
    this.#port = port;
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  hold(ms: number): void {
    this.#heldUntil = performance.now() + ms;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(client: Socket): void {
    this.connections++;
    const node = connect(this.#port, '127.0.0.1');
    let answers = 0;
    const frames = new Frames((streamId, opcode) => {
      // While a connection is opened, 0 is an id as any other.
      if (++answers > 3 && streamId === 0 && opcode === OPCODE_ERROR) this.unaddressed++;
    });
    node.on('data', (bytes) => frames.push(bytes));
    for (const [from, to] of [
      [client, node],
      [node, client],
    ] as const) {
      this.#sockets.add(from);
      from.setNoDelay(true);
      from.on('error', () => undefined);
      from.on('close', () => {
        this.#sockets.delete(from);
        to.destroy();
      });
      void this.#carry(from, to);
    }
  }

  async #carry(from: Socket, to: Socket): Promise<void> {
    try {
      for await (const bytes of from as AsyncIterable<Buffer>) {
        for (let at = 0; at < bytes.byteLength;) {
          const end = Math.random() < 0.7 ? bytes.byteLength : at + 1 + Math.floor(Math.random() * 40);
          const waitMs = Math.max(this.#heldUntil - performance.now(), Math.random() < 0.05 ? between(0, 20) : 0);
          if (waitMs > 0) await sleep(waitMs);
          to.write(bytes.subarray(at, end));
          at = end;
        }
      }
    } catch {
      // The other end hears of it from its own socket.
    }
  }
}

describe('answers of a node that refuses what waited too long', { timeout: 240_000 }, () => {
  let node: Service;
  let line: Line;
  let client: CassandraClient;
  let store: CassandraTableStore;
  /** Not over the line. */
  let direct: CassandraClient;

  before(async () => {
    // Few threads: what comes waits for one of them.
    const settings = { native_transport_timeout: '250ms', native_transport_max_threads: '2' };
    node = await startCassandra({ heapMb: 400, settings });
    line = new Line(node.port);
    client = new CassandraClient({ contactPoints: [await line.listen()], replicationFactor: 1 });
    direct = new CassandraClient({ contactPoints: [node.address], replicationFactor: 1 });
    store = new CassandraTableStore(client);
  });
  after(async () => {
    await Promise.all([client?.close(), direct?.close()]);
    await line?.close();
    await node?.dispose();
  });

  const tableOf = (table: string): TableSchema => ({
    keyspace: 'answers',
    table,
    columns: ['id', 'v'].map((name) => ({ name, type: parseCqlType(name === 'id' ? 'int' : 'text') })),
    partitionKey: ['id'],
    clusteringKey: [],
  });
  const rowsOf = (table: TableSchema, ids: readonly number[]) =>
    buildRows(
      shapeOf(table),
      ids.map((id) => ({ op: 'upsert', values: [id, valueOf(id)], timestamp: 1_700_000_000_000_000 + id })),
    );

  /** Tries again what fails for a reason that passes. */
  const insist = async <T>(work: () => Promise<T>): Promise<T> => {
    for (let attempt = 0; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (!isWeirError(error) || !error.retryable || attempt > 100) throw error;
        assert.doesNotMatch(error.message, /answer to something else/);
        await sleep(50);
      }
    }
  };

  test('each request gets its own answer, and what is acknowledged is there', async () => {
    const meta = new CassandraMetaStore(client);
    await insist(() => meta.prepare());
    const tables = Array.from({ length: WRITERS }, (_, index) => tableOf(`t${index}`));
    const looked = tableOf('looked');
    for (const table of [...tables, looked]) await insist(() => store.create(table));
    const filler = await insist(() => store.open(shapeOf(looked)));
    await filler.write(rowsOf(looked, [...new Array(LOOKED_UP).keys()]), permit);
    const lookup = await insist(() =>
      new CassandraLookups(client, store).open({
        job: 'j',
        name: 'l',
        connector: 'cassandra',
        settings: { keyspace: 'answers', table: 'looked' },
        columns: ['id', 'v'].map((name) => ({ name, type: 'STRING' })),
        key: ['id'],
      }),
    );
    let isOver = false;
    const writers: TableWriter[] = [];

    const write = async (table: TableSchema): Promise<number> => {
      const writer = await insist(() => store.open(shapeOf(table)));
      writers.push(writer);
      let next = 0;
      while (!isOver) {
        const ids = Array.from({ length: Math.ceil(between(0, 80)) }, () => next++);
        await writer.write(rowsOf(table, ids), permit);
      }
      return next;
    };
    const change = async (name: string): Promise<number> => {
      let row = sampleJob(name, 1);
      await changeJob(meta, systemClock, systemRng, 0, row);
      let changes = 0;
      while (!isOver) {
        for (let reads = 0; reads < 3; reads++)
          assert.equal((await insist(() => meta.readOwnership(row.name)))?.name, name);
        const next = sampleJob(name, row.ver + 1);
        const outcome = await insist(() => changeJob(meta, systemClock, systemRng, row.ver, next));
        assert.equal(outcome.kind, 'applied');
        assert.deepEqual(await insist(() => meta.readJob(next.name)), next);
        row = next;
        changes++;
      }
      return changes;
    };
    const look = async (): Promise<number> => {
      let questions = 0;
      for (; !isOver; questions++) {
        const ids = Array.from({ length: 20 }, () => Math.floor(Math.random() * LOOKED_UP));
        const answers = await insist(() =>
          lookup.ask(
            ids.map((id) => [String(id)]),
            never,
          ),
        );
        assert.deepEqual(
          answers,
          ids.map((id) => ({ kind: 'row', values: [id, valueOf(id)] })),
        );
      }
      return questions;
    };
    const hinder = async (): Promise<void> => {
      const until = performance.now() + RUN_MS;
      for (let round = 0; performance.now() < until; round++) {
        await sleep(between(200, 600));
        // At times longer than a read of the metadata waits.
        if (round % 4 === 3) line.hold(between(300, 1500));
        node.pause();
        await sleep(between(300, 700));
        node.resume();
      }
      isOver = true;
    };

    let written: readonly number[];
    let others: readonly number[];
    try {
      const changing = Array.from({ length: JOBS }, (_, index) => change(`job${index}`));
      [written, others] = await Promise.all([
        Promise.all(tables.map(write)),
        Promise.all([...changing, look(), look()]),
        hinder(),
      ]);
    } finally {
      isOver = true;
      node.resume();
      // After a failure some still try.
      await Promise.all(writers.map((writer) => writer.close()));
    }

    assert.ok([...written, ...others].every((count) => count > 0));
    assert.ok(line.unaddressed > 0, 'nothing waited too long');
    for (const [index, table] of tables.entries()) {
      const there = new Map<number, unknown>();
      const cql = `SELECT id, v FROM answers.${table.table}`;
      const result = await insist(() => direct.execute(cql, [], { fetchSize: 1000 }, 'SINK_UNAVAILABLE'));
      for await (const row of result) there.set(Number(row['id']), row['v']);
      for (let id = 0; id < written[index]!; id++) assert.equal(there.get(id), valueOf(id), `${table.table}/${id}`);
    }
  });
});
