/** A real embedded process, killed again and again: what it acknowledged is there, once; what it did not is there once or not at all. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  cpSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { must } from '../../core/assert.ts';
import { WeirError, isWeirError } from '../../core/errors.ts';
import { epoch, jobName, offset, partition, run } from '../../core/ids.ts';
import type { WritePermit } from '../../core/lane/permit.ts';
import type { LogTransactionPlan, LogTransactions } from '../../core/log-transactions.ts';
import type { LogWriter } from '../../core/ports.ts';
import { noFailpoints } from '../../core/ports.ts';
import { buildRows, shapeOf } from '../../test/conformance/rows.ts';
import { sampleHead, sampleJob, samplePlan } from '../../test/conformance/meta-store.ts';
import { always, batchOf, readValues, valuesOf } from '../../test/conformance/source.ts';
import { noLog } from '../../test/conformance/no-log.ts';
import { systemClock, systemRng } from '../system/clock.ts';
import { EmbeddedPlace } from './place.ts';
import { EmbeddedConnection } from './client.ts';
import { startEmbedded } from './main.ts';
import { EmbeddedStore } from './store.ts';

const program = `
  const { startEmbedded } = await import(${JSON.stringify(new URL('./main.ts', import.meta.url).href)});
  const { systemClock } = await import(${JSON.stringify(new URL('../system/clock.ts', import.meta.url).href)});
  const write = (fields, message) => process.stderr.write(message + '\\n');
  const log = { debug: write, info: write, warn: write, error: write, child: () => log };
  try {
    const { address } = await startEmbedded({ host: '127.0.0.1', port: 0, dataDir: process.argv[1], log, clock: systemClock });
    console.log(address);
  } catch (error) {
    console.log('failed ' + error.code + ' ' + error.message);
    process.exit(1);
  }
`;

interface Child {
  readonly process: ChildProcess;
  readonly address: string;
  readonly warnings: () => string;
  kill(): Promise<void>;
}

const children = new Set<ChildProcess>();

/** Rejects with `failed CODE message` when it does not start. */
async function spawnEmbedded(dir: string): Promise<Child> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, dir], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  children.add(child);
  let warnings = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (warnings += text));
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const address = await new Promise<string>((resolve, reject) => {
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (more: string) => {
      text += more;
      if (text.startsWith('failed')) reject(new Error(text));
      else if (text.includes('\n')) resolve(text.trim());
    });
    child.once('exit', (code) => reject(new Error(`exit ${code}: ${text}${warnings}`)));
  });
  return {
    process: child,
    address,
    warnings: () => warnings,
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
      children.delete(child);
    },
  };
}

let dir: string;
before(() => {
  dir = mkdtempSync(join(tmpdir(), 'weir-kill-'));
});
after(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(dir, { recursive: true, force: true });
});

const table = {
  keyspace: 'ks',
  table: 'rows',
  columns: [
    { name: 'id', type: { kind: 'int' as const } },
    { name: 'v', type: { kind: 'text' as const } },
  ],
  partitionKey: ['id'],
  clusteringKey: [],
};

/** Transactions over both partitions of `events`; positions count them. */
async function openPairs(writer: LogWriter, permit: WritePermit): Promise<LogTransactions> {
  const open = must(writer.openTransactions?.bind(writer), () => 'the embedded log has transactions');
  const plan: LogTransactionPlan = {
    job: 'kill',
    topic: 'events',
    id: 'weir.kill',
    groups: ['weir.kill.1'],
    source: { topic: 'in', partition: partition(0) },
    note: '',
    commitIntervalMs: 60_000,
    timeoutMs: 60_000,
  };
  return await open(plan, { permit, failpoints: noFailpoints });
}

test('kill -9 in a loop loses and doubles nothing', async () => {
  const rounds = 6;
  const acknowledged = new Map<string, { index: number; base: number }>();
  const acknowledgedRows = new Map<number, string>();
  let lanePosition = 0;
  let jobVer = 0;
  let headVer = 0;
  let pairsCommitted = 0;
  /** Ids of blobs that were begun, with whether their put was acknowledged. */
  const blobs = new Map<string, boolean>();
  let next = 0;
  for (let round = 0; round < rounds; round++) {
    const child = await spawnEmbedded(dir);
    const place = new EmbeddedPlace(child.address, { clock: systemClock, rng: systemRng });
    const connection = new EmbeddedConnection(child.address);
    await place.logWriter.createTopic('events', 2);
    await place.tables.create(table);
    const job = await place.meta.readJob(jobName('kill'));
    assert.ok((job?.ver ?? 0) >= jobVer, 'an applied change is there');
    jobVer = job?.ver ?? 0;
    const head = await place.meta.readEpochs(jobName('kill'), run(1));
    assert.ok((head?.ver ?? 0) >= headVer, 'an applied head is there');
    headVer = head?.ver ?? 0;
    // Each change wrote the plans of two epochs with the head that counts them.
    const plans = await place.meta.readPlans(jobName('kill'), run(1), epoch(0), epoch(2 * headVer - 1));
    assert.equal(plans.length, 2 * headVer);
    await assert.rejects(
      place.meta.readPlans(jobName('kill'), run(1), epoch(2 * headVer), epoch(2 * headVer)),
      (error) => isWeirError(error, 'NOT_FOUND'),
      'no plan without its head',
    );
    let alive = true;
    let acknowledgements = 0;
    const killAt = 20 + (systemRng.u32() % 150);
    const acknowledge = async (): Promise<void> => {
      if (++acknowledgements !== killAt) return;
      alive = false;
      await child.kill();
    };
    const until = async (step: () => Promise<void>): Promise<void> => {
      while (alive) {
        try {
          await step();
        } catch (error) {
          assert.ok(isWeirError(error) && error.retryable, String(error));
          return;
        }
        await acknowledge();
      }
    };
    const append = async (): Promise<void> => {
      const first = next;
      next += 3;
      const index = first % 2;
      const request = { appends: [{ topic: 'events', partition: index, batch: batchOf('event', first, 3) }] };
      const { baseOffsets } = await connection.call((client) => client.append, request, 'SINK_UNAVAILABLE');
      acknowledged.set(`event-${first}`, { index, base: baseOffsets[0] ?? -1 });
    };
    const writeRows = async (): Promise<void> => {
      const first = next;
      next += 50;
      const rows = Array.from({ length: 50 }, (_, at) => ({
        op: 'upsert' as const,
        values: [first + at, `row ${first + at}`],
        timestamp: first + at,
      }));
      const block = buildRows(shapeOf(table), rows);
      const request = { keyspace: 'ks', table: 'rows', columns: ['id', 'v'], rowCount: 50, rows: block.bytes };
      await connection.call((client) => client.writeRows, request, 'SINK_UNAVAILABLE');
      for (const row of rows) acknowledgedRows.set(row.values[0] as number, row.values[1] as string);
    };
    const commit = async (): Promise<void> => {
      const position = lanePosition + 1;
      const request = {
        job: 'kill',
        run: 1,
        source: 's',
        topicId: 't',
        partition: 0,
        nextOffset: position,
        position: JSON.stringify({ nextOffset: position }),
      };
      await connection.call((client) => client.writeLane, request, 'STORE_UNAVAILABLE');
      lanePosition = position;
    };
    const change = async (): Promise<void> => {
      const outcome = await place.meta.casJob(jobVer, sampleJob('kill', jobVer + 1));
      if (outcome.kind === 'unknown') throw outcome.cause;
      assert.equal(outcome.kind, 'applied');
      jobVer++;
    };
    const plan = async (): Promise<void> => {
      const planned = [samplePlan(2 * headVer), samplePlan(2 * headVer + 1)];
      const outcome = await place.meta.casEpochs(headVer, sampleHead('kill', headVer + 1), planned);
      if (outcome.kind === 'unknown') throw outcome.cause;
      assert.equal(outcome.kind, 'applied');
      headVer++;
    };
    const running: WritePermit = {
      valid: () => alive,
      check: () => {
        if (!alive) throw new WeirError('FENCED', 'the embedded process was killed');
      },
    };
    const pairs = await openPairs(place.logWriter, running);
    assert.ok((pairs.position ?? 0) >= pairsCommitted, 'a transaction that was acknowledged is there');
    pairsCommitted = pairs.position ?? 0;
    /** One record in each partition, together with how many such pairs there are. */
    const pair = async (): Promise<void> => {
      const [left, right] = ['left', 'right'].map((name) => batchOf(name, pairsCommitted, 1));
      assert.ok(left && right);
      const appends = [left, right].map((batch, index) => ({ topic: 'events', partition: partition(index), batch }));
      const written = pairs.write(appends, offset(pairsCommitted + 1));
      pairs.commitNow();
      try {
        await written;
      } catch (error) {
        if (alive) throw error;
        return;
      }
      pairsCommitted++;
    };
    const dying = new AbortController();
    const putBlob = async (): Promise<void> => {
      const id = `blob-${next++}`;
      blobs.set(id, false);
      await place.blobs.put(id, new Uint8Array(3_000_000).fill(blobs.size), dying.signal);
      blobs.set(id, true);
    };
    const writers = [append, append, append, pair, writeRows, commit, change, plan];
    await Promise.all([...writers.map(until), until(putBlob), once(child.process, 'exit').then(() => dying.abort())]);
    assert.equal(alive, false);
    connection.close();
    await place.source.close();
    place.close();
  }

  const child = await spawnEmbedded(dir);
  const place = new EmbeddedPlace(child.address, { clock: systemClock, rng: systemRng });
  const seen = new Map<string, { index: number; offset: number }>();
  for (const index of [0, 1]) {
    const values = await readValues(place.source, 'events', index);
    values.forEach((record, at) => {
      assert.equal(record.offset, at, 'offsets have no gap');
      assert.ok(!seen.has(record.value), `${record.value} is there once`);
      seen.set(record.value, { index, offset: record.offset });
    });
  }
  const pairs = await openPairs(place.logWriter, always);
  const committed = pairs.position ?? 0;
  assert.ok(committed >= pairsCommitted && committed > 0, `${committed} of ${pairsCommitted} pairs`);
  for (const [index, name] of ['left', 'right'].entries()) {
    const there = [...seen].filter(([value, record]) => value.startsWith(`${name}-`) && record.index === index);
    assert.deepEqual(
      there.map(([value]) => value),
      Array.from({ length: committed }, (_, at) => `${name}-${at}`),
      'all records of the transactions up to the position, in order, and no other ones',
    );
  }
  await pairs.close();
  for (const [value, { index, base }] of acknowledged)
    assert.deepEqual(seen.get(value), { index, offset: base }, value);
  assert.ok(acknowledged.size > rounds * 5, `${acknowledged.size} appends`);
  const rows = new Map((await place.tables.query('SELECT id, v FROM ks.rows')).rows.map(([id, v]) => [id, v] as const));
  for (const [id, value] of acknowledgedRows) assert.equal(rows.get(id), value);
  assert.equal(rows.size % 50, 0, 'a block is there as a whole or not at all');
  const stored = await Promise.all([...blobs.keys()].map(async (id) => [id, await place.blobs.get(id)] as const));
  for (const [id, bytes] of stored) {
    if (blobs.get(id) === true) assert.ok(bytes !== undefined, `${id} was acknowledged`);
    assert.ok(bytes === undefined || bytes.every((byte) => byte === bytes[0]), `${id} is whole or not there`);
  }
  assert.ok(
    [...blobs.values()].some((acknowledgedBlob) => acknowledgedBlob),
    'blobs were stored',
  );
  const [lane] = await place.meta.readLanes(jobName('kill'), 1 as never);
  assert.ok((lane?.position.nextOffset ?? 0) >= lanePosition);
  await place.source.close();
  place.close();
  await child.kill();
});

test('a write-ahead log cut anywhere opens, and holds blocks as wholes', async () => {
  const sqlite = await import('node:sqlite');
  const wal = join(dir, 'tables.db-wal');
  const bytes = statSync(wal).size;
  assert.ok(bytes > 0, 'the process was killed, so its log is still there');
  for (let step = 0; step <= 10; step++) {
    const copy = join(dir, '..', `weir-wal-${process.pid}-${step}`);
    cpSync(dir, copy, { recursive: true });
    truncateSync(join(copy, 'tables.db-wal'), Math.floor((bytes * step) / 10));
    const store = new EmbeddedStore(sqlite, copy);
    store.createTable(table);
    const count = store.query('SELECT count(*) FROM ks.rows').rows[0]?.[0] as number;
    assert.equal(count % 50, 0);
    store.writeRows({
      keyspace: 'ks',
      table: 'rows',
      columns: ['id', 'v'],
      rowCount: 1,
      rows: buildRows(shapeOf(table), [{ op: 'upsert', values: [-1, 'new'], timestamp: 1 }]).bytes,
    });
    assert.deepEqual(store.query('SELECT count(*) FROM ks.rows').rows, [[count + 1]]);
    store.close();
    rmSync(copy, { recursive: true });
  }
});

test('a transaction that was committed when the process ended is finished by the next one, once', async () => {
  const own = mkdtempSync(join(tmpdir(), 'weir-embedded-journal-'));
  const options = { host: '127.0.0.1', port: 0, dataDir: own, log: noLog, clock: systemClock };
  const values = async (): Promise<string[][]> => {
    const embedded = await startEmbedded(options);
    const place = new EmbeddedPlace(embedded.address, { clock: systemClock, rng: systemRng });
    await place.logWriter.createTopic('events', 2);
    const read = await Promise.all([0, 1].map((index) => readValues(place.source, 'events', index)));
    await place.source.close();
    place.close();
    await embedded.close();
    return read.map((records) => records.map(({ value }) => value));
  };
  assert.deepEqual(await values(), [[], []]);
  const { topicId } = JSON.parse(readFileSync(join(own, 'topics', 'events', 'topic.json'), 'utf8')) as {
    readonly topicId: string;
  };
  const store = new EmbeddedStore(await import('node:sqlite'), own);
  const writer = { id: 'weir.kill', place: 'in/0', note: '' };
  const { generation } = store.beginTransactions({ ...writer, groups: ['weir.kill.1'] });
  const batches = [
    { topicId, partition: 0, baseOffset: 0, batch: batchOf('left', 0, 2) },
    { topicId, partition: 1, baseOffset: 0, batch: batchOf('right', 0, 3) },
    { topicId, partition: 1, baseOffset: 3, batch: batchOf('right', 3, 1) },
    { topicId: 'of a topic that is gone', partition: 0, baseOffset: 7, batch: batchOf('lost', 0, 1) },
  ];
  const commit = { ...writer, generation, sequence: 1, appends: 4, group: 'weir.kill.1', position: 6 };
  store.decide(commit, batches);
  assert.throws(
    () => store.decide({ ...commit, generation: generation - 1 }, batches),
    (error) => isWeirError(error, 'FENCED'),
  );
  store.close();
  const whole = [
    ['left-0', 'left-1'],
    ['right-0', 'right-1', 'right-2', 'right-3'],
  ];
  assert.deepEqual(await values(), whole);
  // As after a process that ended before it could forget them: they stand there.
  const again = new EmbeddedStore(await import('node:sqlite'), own);
  assert.equal(again.beginTransactions({ ...writer, groups: ['weir.kill.1'] }).position, 6);
  again.decide({ ...commit, generation: generation + 1 }, batches);
  again.close();
  assert.deepEqual(await values(), whole);
  rmSync(own, { recursive: true });
});

test('a process that is told to end in the middle of transactions finishes them when it starts again', async () => {
  const own = mkdtempSync(join(tmpdir(), 'weir-embedded-end-'));
  const options = { host: '127.0.0.1', port: 0, dataDir: own, log: noLog, clock: systemClock };
  let position = 0;
  for (let round = 0; round < 12; round++) {
    const embedded = await startEmbedded(options);
    const place = new EmbeddedPlace(embedded.address, { clock: systemClock, rng: systemRng });
    await place.logWriter.createTopic('events', 2);
    let running = true;
    const permit: WritePermit = {
      valid: () => running,
      check: () => {
        if (!running) throw new WeirError('FENCED', 'the embedded process ends');
      },
    };
    const pairs = await openPairs(place.logWriter, permit);
    assert.ok((pairs.position ?? 0) >= position);
    position = pairs.position ?? 0;
    for (const [index, name] of ['left', 'right'].entries()) {
      const values = (await readValues(place.source, 'events', index)).map(({ value }) => value);
      assert.deepEqual(
        values,
        Array.from({ length: 4 * position }, (_, at) => `${name}-${at}`),
        `after ${round} rounds`,
      );
    }
    const write = async (): Promise<void> => {
      // Four batches in each partition.
      const appends = Array.from({ length: 8 }, (_, at) => {
        const batch = batchOf(at % 2 === 0 ? 'left' : 'right', 4 * position + Math.floor(at / 2), 1);
        return { topic: 'events', partition: partition(at % 2), batch };
      });
      const written = pairs.write(appends, offset(position + 1));
      pairs.commitNow();
      await written;
      position += 1;
    };
    const writing = (async () => {
      while (running) await write();
    })().catch((error: unknown) => assert.ok(!running, String(error)));
    await systemClock.sleep(20 + round * 3);
    running = false;
    await Promise.all([embedded.close(), writing]);
    await pairs.close();
    await place.source.close();
    place.close();
  }
  assert.ok(position > 12, `${position} transactions`);
  rmSync(own, { recursive: true });
});

test('a torn tail is cut off, and appends go on after it', async () => {
  const path = join(dir, 'topics', 'events', '0');
  const file = join(
    path,
    readdirSync(path)
      .filter((name) => name.endsWith('.log'))
      .at(-1) ?? '',
  );
  const good = statSync(file).size;
  const tails = [
    Buffer.alloc(4096),
    batchOf('torn', 0, 3).subarray(0, 90),
    Buffer.from(damaged(batchOf('torn', 0, 3))),
  ];
  for (const tail of tails) {
    appendFileSync(file, tail);
    const child = await spawnEmbedded(dir);
    assert.equal(statSync(file).size, good);
    assert.match(child.warnings(), /cut \d+ bytes off events-0/);
    await child.kill();
  }
  const child = await spawnEmbedded(dir);
  const place = new EmbeddedPlace(child.address, { clock: systemClock, rng: systemRng });
  const before = await readValues(place.source, 'events', 0);
  await place.logWriter.append([{ topic: 'events', partition: partition(0), batch: batchOf('later', 0, 2) }], always);
  assert.deepEqual(await readValues(place.source, 'events', 0), [
    ...before,
    { offset: before.length, value: 'later-0' },
    { offset: before.length + 1, value: 'later-1' },
  ]);
  await place.source.close();
  place.close();
  await child.kill();
  // A tail cut within the last batch takes that batch and nothing before it.
  truncateSync(file, statSync(file).size - 1);
  const again = await startEmbedded({ host: '127.0.0.1', port: 0, dataDir: dir, log: noLog, clock: systemClock });
  const last = new EmbeddedPlace(again.address, { clock: systemClock, rng: systemRng });
  assert.deepEqual(await readValues(last.source, 'events', 0), before);
  await last.source.close();
  last.close();
  await again.close();
});

function damaged(batch: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(batch);
  copy[copy.length - 1] = (copy[copy.length - 1] ?? 0) ^ 1;
  return copy;
}

test('a second process on the directory is refused with the id of the first, and may have it once that is gone', async () => {
  const first = await spawnEmbedded(dir);
  await assert.rejects(spawnEmbedded(dir), (error: Error) => {
    assert.match(error.message, /failed DATA_DIR_IN_USE/);
    assert.match(error.message, new RegExp(`in use by the process ${first.process.pid}\\b`));
    return true;
  });
  assert.equal(readFileSync(join(dir, 'pid'), 'utf8').trim(), String(first.process.pid));
  await first.kill();
  const second = await spawnEmbedded(dir);
  await second.kill();
});

test('the same process cannot take the directory twice either', async () => {
  const options = { host: '127.0.0.1', port: 0, dataDir: dir, log: noLog, clock: systemClock };
  const first = await startEmbedded(options);
  await assert.rejects(startEmbedded(options), (error) => isWeirError(error, 'DATA_DIR_IN_USE'));
  await first.close();
  await (await startEmbedded(options)).close();
});

test('a busy port is refused by name, and the directory is free again', async () => {
  const first = await startEmbedded({ host: '127.0.0.1', port: 0, dataDir: null, log: noLog, clock: systemClock });
  const port = Number(first.address.split(':')[1]);
  const options = { host: '127.0.0.1', port, dataDir: dir, log: noLog, clock: systemClock };
  await assert.rejects(
    startEmbedded(options),
    (error) => isWeirError(error, 'PORT_IN_USE') && error.message.includes(String(port)),
  );
  await (await startEmbedded({ ...options, port: 0 })).close();
  await first.close();
});

test('clients reconnect by themselves: writes that wait go on, fetches say that the source is away', async () => {
  const first = await startEmbedded({ host: '127.0.0.1', port: 0, dataDir: dir, log: noLog, clock: systemClock });
  const port = Number(first.address.split(':')[1]);
  const place = new EmbeddedPlace(first.address, { clock: systemClock, rng: systemRng });
  const reader = place.source.open(await place.source.describe('events'));
  const end = (await place.source.offsets('events', [partition(0)], 'latest')).get(partition(0)) ?? offset(0);
  const request = { partition: partition(0), offset: end, maxBytes: 1000, maxWaitMs: 60_000 };
  const writer = await place.tables.open(shapeOf(table));
  const waiting = assert.rejects(reader.fetch(request), (error) => isWeirError(error, 'SOURCE_UNAVAILABLE'));
  await first.close();
  await waiting;
  await assert.rejects(place.meta.listJobs(), (error) => isWeirError(error, 'STORE_UNAVAILABLE'));
  assert.equal((await place.meta.casJob(0, sampleJob('away', 1))).kind, 'unknown');
  const block = buildRows(shapeOf(table), [{ op: 'upsert', values: [-1, 'waited'], timestamp: 1 }]);
  const written = writer.write(block, always);
  const appended = place.logWriter.append(
    [{ topic: 'events', partition: partition(0), batch: batchOf('waited', 0, 1) }],
    always,
  );
  while (writer.stats().retries === 0) await systemClock.sleep(5);
  assert.match(writer.stats().blockedBy ?? '', /does not answer/);
  const second = await startEmbedded({ host: '127.0.0.1', port, dataDir: dir, log: noLog, clock: systemClock });
  await Promise.all([written, appended]);
  assert.equal(writer.stats().blockedBy, null);
  assert.deepEqual(
    valuesOf((await reader.fetch(request)).bytes).map((record) => record.value),
    ['waited-0'],
  );
  assert.deepEqual((await place.tables.query('SELECT v FROM ks.rows WHERE id = -1')).rows, [['waited']]);
  await place.source.close();
  place.close();
  await second.close();
});
