/** Transactions behind their decision on a full disk, and writers that fall silent; topics and tables are real files. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import type { Clock } from '../../core/clock.ts';
import type { ErrorCode } from '../../core/errors.ts';
import { isWeirError } from '../../core/errors.ts';
import type { CommitTransactionRequest } from '../../proto/gen/embedded.ts';
import { noLog } from '../../test/conformance/no-log.ts';
import { batchOf, valuesOf } from '../../test/conformance/source.ts';
import { until } from '../../test/support/cluster.ts';
import { systemRng } from '../system/clock.ts';
import { FileStorage } from './segment.ts';
import { StoreHost } from './store-host.ts';
import { TopicTransactions } from './topic-transactions.ts';
import { Topics } from './topics.ts';

/** Time that stands still until it is moved. */
class HandClock implements Clock {
  #ms = 0;
  #timers: { readonly at: number; readonly fn: () => void }[] = [];

  now(): number {
    return this.#ms;
  }

  mono(): number {
    return this.#ms;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.timer(ms, resolve));
  }

  timer(ms: number, fn: () => void): () => void {
    const timer = { at: this.#ms + ms, fn };
    this.#timers.push(timer);
    return () => (this.#timers = this.#timers.filter((other) => other !== timer));
  }

  pass(ms: number): void {
    this.#ms += ms;
    const due = this.#timers.filter(({ at }) => at <= this.#ms);
    this.#timers = this.#timers.filter(({ at }) => at > this.#ms);
    for (const { fn } of due) fn();
  }

  /** Somebody waits to try again. */
  get isAwaited(): boolean {
    return this.#timers.length > 0;
  }
}

/** A disk that takes so many writes more; the next one is written in part. */
class Disk {
  writesLeft = Number.POSITIVE_INFINITY;
  /** Called before every write. */
  onWrite: () => void | Promise<void> = () => undefined;
  readonly openFile = (path: string): FileStorage => new FileOnDisk(path, this);
}

class FileOnDisk extends FileStorage {
  readonly #disk: Disk;

  constructor(path: string, disk: Disk) {
    super(path);
    this.#disk = disk;
  }

  override async write(position: number, chunks: readonly Uint8Array[]): Promise<void> {
    await this.#disk.onWrite();
    if (this.#disk.writesLeft-- > 0) return super.write(position, chunks);
    await super.write(position, [Buffer.concat(chunks).subarray(0, 100)]);
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
  }
}

let root: string;
let directories = 0;
const opened = new Set<Log>();
before(() => {
  root = mkdtempSync(join(tmpdir(), 'weir-topic-transactions-'));
});
afterEach(() => Promise.all([...opened].map((log) => log.close())));
after(() => rmSync(root, { recursive: true, force: true }));

/** What an embedded process has of topics and transactions, with `events` of two partitions. */
class Log {
  readonly dir: string;
  readonly clock = new HandClock();
  readonly topics: Topics;
  readonly store: StoreHost;
  readonly transactions: TopicTransactions;

  private constructor(dir: string, topics: Topics, store: StoreHost) {
    this.dir = dir;
    this.topics = topics;
    this.store = store;
    this.transactions = new TopicTransactions({ topics, store, clock: this.clock, rng: systemRng, log: noLog });
    opened.add(this);
  }

  /** Throws: DISK_FULL when transactions that are left cannot be finished; everything is closed then. */
  static async open(disk: Disk, dir = join(root, String(directories++))): Promise<Log> {
    const store = await StoreHost.start(dir);
    const { openFile } = disk;
    const topics = await Topics.open({
      dir: join(dir, 'topics'),
      bytesMax: Number.POSITIVE_INFINITY,
      openFile,
      log: noLog,
    });
    const log = new Log(dir, topics, store);
    try {
      topics.create('events', 2);
      await log.transactions.recover();
      return log;
    } catch (error) {
      await log.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    opened.delete(this);
    this.transactions.close();
    await this.topics.close();
    await this.store.close();
  }

  async writer(id: string): Promise<Writer> {
    const { generation } = await this.transactions.begin({ id, groups: [id], place: 'in/0', note: '' });
    return new Writer(this, id, generation);
  }

  /** Where the writer's transactions stand; takes it over. */
  async position(id: string): Promise<number> {
    return (await this.transactions.begin({ id, groups: [id], place: 'in/0', note: '' })).position;
  }

  append(partition: number, name: string): Promise<number> {
    return this.topics.append('events', partition, batchOf(name, 0, 1));
  }

  async values(): Promise<string[][]> {
    const read = [0, 1].map(async (partition) =>
      valuesOf(await this.topics.partition('events', partition).read(0, 1 << 20)),
    );
    return (await Promise.all(read)).map((records) => records.map(({ value }) => value));
  }

  /** A commit that is decided has found the disk full. */
  async isBlocked(): Promise<void> {
    await until('a commit waits for room', 10_000, () => Promise.resolve(this.clock.isAwaited));
  }
}

class Writer {
  readonly #log: Log;
  readonly #id: string;
  readonly #generation: number;
  #sequence = 0;

  constructor(log: Log, id: string, generation: number) {
    this.#log = log;
    this.#id = id;
    this.#generation = generation;
  }

  stage(first: number, ...appends: readonly (readonly [partition: number, name: string])[]): void {
    this.#log.transactions.stage({
      id: this.#id,
      generation: this.#generation,
      first,
      appends: appends.map(([partition, name]) => ({ topic: 'events', partition, batch: batchOf(name, 0, 2) })),
    });
  }

  /** Position and number of the transaction are the same. */
  next(appends: number): CommitTransactionRequest {
    const sequence = ++this.#sequence;
    const [id, generation] = [this.#id, this.#generation];
    return { id, generation, sequence, appends, group: id, place: 'in/0', note: '', position: sequence };
  }
}

async function refusedFor(code: ErrorCode, work: Promise<unknown>, words: RegExp): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(isWeirError(error, code), String(error));
    assert.match(error.message, words);
    return true;
  });
}

const whyFull = /committed transaction .* could not append to events-1: the disk of its data directory is full\. Free/;

/** Of the transaction's three batches one is written when the disk is full. */
async function decidedOnFullDisk(disk: Disk): Promise<{ readonly log: Log; readonly committed: Promise<void> }> {
  const log = await Log.open(disk);
  await log.append(0, 'before');
  const writer = await log.writer('w');
  writer.stage(0, [0, 'left'], [1, 'right'], [1, 'more']);
  disk.writesLeft = 1;
  const committed = log.transactions.commit(writer.next(3));
  await log.isBlocked();
  return { log, committed };
}

const whole = [
  ['before-0', 'left-0', 'left-1'],
  ['right-0', 'right-1', 'more-0', 'more-1'],
];

test('a decided transaction waits for room on the disk; whoever comes between learns why, and no record is lost or doubled', async () => {
  const disk = new Disk();
  const log = await Log.open(disk);
  await log.append(0, 'before');
  const writer = await log.writer('w');
  const other = await log.writer('other');
  writer.stage(0, [0, 'left'], [1, 'right'], [1, 'more']);
  other.stage(0, [1, 'other']);
  disk.writesLeft = 1;
  const [writes, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  disk.onWrite = () => {
    writes.resolve();
    return gate.promise;
  };
  const request = writer.next(3);
  const committed = log.transactions.commit(request);
  await writes.promise;
  // Those who come before the disk is found full, and then those who come after: in the partition that has no room, in
  // the one that had some, and with a transaction.
  const otherRequest = other.next(1);
  const early = [log.append(0, 'early'), log.append(1, 'early'), log.transactions.commit(otherRequest)];
  const refused = early.map((work) => refusedFor('DISK_FULL', work, whyFull));
  // Behind this call of the store, all of them wait for the partitions.
  await log.store.call('journal', []);
  gate.resolve();
  await log.isBlocked();
  await Promise.all(refused);
  await refusedFor('DISK_FULL', log.append(0, 'late'), whyFull);
  await refusedFor('DISK_FULL', log.append(1, 'late'), whyFull);
  await refusedFor('DISK_FULL', log.transactions.commit(otherRequest), whyFull);
  let answered = 0;
  // Its writer asks again when no answer comes, and gets none before the records can be read.
  const answers = [committed, log.transactions.commit(request)].map((work) => work.then(() => answered++));
  log.clock.pass(60_000);
  await log.isBlocked();
  assert.equal(answered, 0);
  assert.deepEqual(await log.values(), [whole[0], []]);

  disk.writesLeft = Number.POSITIVE_INFINITY;
  log.clock.pass(60_000);
  await Promise.all(answers);
  assert.deepEqual(await log.values(), whole);
  assert.deepEqual(await log.store.call('journal', []), []);
  await log.transactions.commit(otherRequest);
  assert.equal(await log.append(0, 'after'), 3);
  assert.deepEqual(await log.values(), [
    [...(whole[0] ?? []), 'after-0'],
    [...(whole[1] ?? []), 'other-0', 'other-1'],
  ]);
  await log.close();
});

for (const end of ['is killed', 'is told to end'] as const) {
  test(`a process that ${end} while a decided transaction waits for room finishes it, once, when it starts with room`, async () => {
    const disk = new Disk();
    const { log, committed } = await decidedOnFullDisk(disk);
    let { dir } = log;
    if (end === 'is killed') {
      // What a kill leaves is what stands in the files at one moment.
      dir = join(root, String(directories++));
      cpSync(log.dir, dir, { recursive: true });
    }
    await log.close();
    log.clock.pass(60_000);
    await committed;
    assert.deepEqual(await Log.open(disk, dir).catch((error: unknown) => isWeirError(error, 'DISK_FULL')), true);
    // Room for one more batch: the next start goes on behind it.
    disk.writesLeft = 1;
    await refusedFor('DISK_FULL', Log.open(disk, dir), /could not append to events-1: the disk .* is full\. Free/);
    disk.writesLeft = Number.POSITIVE_INFINITY;
    for (let start = 0; start < 2; start++) {
      const next = await Log.open(disk, dir);
      assert.deepEqual(await next.values(), whole);
      assert.equal(await next.position('w'), 1);
      assert.deepEqual(await next.store.call('journal', []), []);
      await next.close();
    }
  });
}

test('another writer who takes the id over begins behind the transaction that waited for room', async () => {
  const disk = new Disk();
  const { log, committed } = await decidedOnFullDisk(disk);
  let begun: number | undefined;
  const taken = log.position('w').then((position) => (begun = position));
  await log.store.call('journal', []);
  assert.equal(begun, undefined, 'it must not begin before the records can be read');
  disk.writesLeft = Number.POSITIVE_INFINITY;
  log.clock.pass(60_000);
  assert.equal(await taken, 1);
  await committed;
  assert.deepEqual(await log.values(), whole);
  await log.close();
});

const MINUTE_MS = 60_000;

test('what a writer staged is given up when it has been silent for ten minutes, and not before', async () => {
  const log = await Log.open(new Disk());
  const [silent, punctual] = [await log.writer('silent'), await log.writer('punctual')];
  silent.stage(0, [0, 'silent']);
  punctual.stage(0, [0, 'punctual']);
  log.clock.pass(10 * MINUTE_MS);
  punctual.stage(1, [1, 'punctual']);
  log.clock.pass(1);
  await refusedFor('FENCED', log.transactions.commit(silent.next(1)), /no longer all that silent wrote/);
  assert.throws(
    () => silent.stage(1, [1, 'silent']),
    (error) => isWeirError(error, 'FENCED'),
  );
  await log.transactions.commit(punctual.next(2));
  // Whoever begins anew loses nothing by it.
  assert.equal(await log.position('silent'), -1);
  const back = await log.writer('silent');
  back.stage(0, [0, 'silent']);
  await log.transactions.commit(back.next(1));
  assert.deepEqual(await log.values(), [
    ['punctual-0', 'punctual-1', 'silent-0', 'silent-1'],
    ['punctual-0', 'punctual-1'],
  ]);
  await log.close();
});

test('a writer that asks for its commit while there is no room is not silent', async () => {
  const disk = new Disk();
  const { log, committed } = await decidedOnFullDisk(disk);
  const [patient, third] = [await log.writer('patient'), await log.writer('third')];
  patient.stage(0, [0, 'patient']);
  const request = patient.next(1);
  for (let minute = 0; minute < 15; minute++) {
    log.clock.pass(MINUTE_MS);
    await log.isBlocked();
    await refusedFor('DISK_FULL', log.transactions.commit(request), whyFull);
    third.stage(0, [0, 'third']);
  }
  disk.writesLeft = Number.POSITIVE_INFINITY;
  log.clock.pass(MINUTE_MS);
  await committed;
  await log.transactions.commit(request);
  assert.deepEqual((await log.values())[0], [...(whole[0] ?? []), 'patient-0', 'patient-1']);
  await log.close();
});
