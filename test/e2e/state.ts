/**
 * `node test/e2e/state.ts [--minutes N] [--rate N] [--store real|embedded] [--trigger T] [--jobs a,b] [--out FILE]`:
 * stateful jobs together as real processes, two masters and one to four workers, while workers join, leave and are
 * killed and the leader is killed twice. In the end every table must hold exactly the rows that a recomputation of the
 * streams gives, and the gaps between commits must be within their bounds. Exit code 1 when something is not so.
 */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { makeConnections } from '../../connectors/connections.ts';
import { systemClock, systemRng } from '../../connectors/system/clock.ts';
import { makeLog } from '../../connectors/system/log.ts';
import { must } from '../../core/assert.ts';
import type { Connections } from '../../core/ports.ts';
import type { JobView, WorkerView } from '../../master/views.ts';
import { freePorts } from '../services/java-server.ts';
import type { Service } from '../services/services.ts';
import { startCassandra, startKafka } from '../services/services.ts';
import type { ClusterServices, Process } from '../support/cluster.ts';
import { Cluster, until } from '../support/cluster.ts';
import { Load } from '../support/load.ts';
import { CommitWatch, figuresOf } from './state-figures.ts';
import type { StateJob, StreamConfig, TableRows } from './state-stream.ts';
import * as stream from './state-stream.ts';

const KILL_EVERY_MS = 20_000;
const QUIET_MS = 8000;
const SETTLE_LIMIT_MS = 180_000;
const MOVE_GAP_MS_MAX = 500;
const KILL_RESUME_MS_MAX = 5000;
const LEADER_RESUME_MS_MAX = 4000;

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    rate: { type: 'string', default: '20000' },
    store: { type: 'string', default: 'real' },
    trigger: { type: 'string', default: 'asap' },
    jobs: { type: 'string', default: 'windows,sessions,orders,distinct,spells' },
    out: { type: 'string' },
    keep: { type: 'boolean', default: false },
  },
});

const config: StreamConfig = { seed: 4, eventsPerSecond: Number(options.rate) };
const durationMs = Number(options.minutes) * 60_000;
const jobs = stream.jobs.filter(({ name }) => options.jobs.split(',').includes(name));
const problems: string[] = [];

function note(text: string): void {
  process.stdout.write(`${(performance.now() / 1000).toFixed(1).padStart(7)} s  ${text}\n`);
}

function check(isSo: boolean, problem: string): void {
  if (isSo) return;
  problems.push(problem);
  note(`NOT SO: ${problem}`);
}

interface Resumption {
  readonly what: string;
  /** ms until the job that took longest committed again. */
  readonly ms: number;
  readonly slowest: string;
  /** Key groups of all jobs that the dead worker had, and that others restored. */
  readonly owned: number;
  readonly restored: number;
}

/** Everything that runs; ended by `close`. */
class World {
  readonly cluster: Cluster;
  readonly connections: Connections;
  readonly watch: CommitWatch;
  readonly workers: Process[] = [];
  readonly masters: (Process | undefined)[] = [];
  /** `ms`: until the last job was in place. */
  readonly moves: { readonly what: string; readonly ms: number; readonly from: number; readonly to: number }[] = [];
  readonly kills: Resumption[] = [];
  readonly leaderKills: Resumption[] = [];
  readonly #services: readonly Service[];

  private constructor(cluster: Cluster, connections: Connections, services: readonly Service[]) {
    this.cluster = cluster;
    this.connections = connections;
    this.#services = services;
    this.watch = new CommitWatch(() => this.views());
  }

  static async create(): Promise<World> {
    const services: Service[] = [];
    let places: ClusterServices;
    const [port = 0] = await freePorts(1);
    if (options.store === 'real') {
      services.push(...(await Promise.all([startKafka({ heapMb: 768 }), startCassandra({ heapMb: 1024 })])));
      const [kafka, cassandra] = services;
      places = { KAFKA_BROKERS: kafka?.address ?? '', CASSANDRA_CONTACT_POINTS: cassandra?.address ?? '' };
    } else places = { WEIR_EMBEDDED: `127.0.0.1:${port}` };
    const cluster = await Cluster.create(places, 2);
    if (options.store !== 'real') cluster.spawn('embedded', ['embedded', '--port', String(port)]);
    const connections = makeConnections(
      { ...places },
      { clock: systemClock, rng: systemRng, log: makeLog('state', 'error') },
    );
    await until('the store answers', 60_000, async () => {
      await connections.metaStore().prepare();
      return true;
    });
    return new World(cluster, connections, services);
  }

  async close(): Promise<void> {
    await this.watch.stop();
    await this.cluster.close(options.keep || problems.length > 0);
    await this.connections.close();
    await Promise.all(this.#services.map((service) => service.dispose()));
    if (options.keep || problems.length > 0) note(`logs are in ${this.cluster.directory}`);
  }

  async views(): Promise<readonly JobView[]> {
    return ((await this.cluster.request('GET', '/v1/jobs')) as { readonly jobs: readonly JobView[] }).jobs;
  }

  get alive(): Process[] {
    return this.workers.filter((worker) => worker.alive);
  }

  /** Every job runs on exactly the workers that are alive. Throws when one has failed. */
  isPlaced(): boolean {
    if (this.watch.failed.size > 0) throw new Error(`jobs failed: ${JSON.stringify([...this.watch.failed])}`);
    const names = this.alive.map(({ name }) => name).sort();
    return jobs.every(({ name }) => {
      const owners = this.watch.view(name)?.epochs?.workers.map(({ id }) => id.split('-')[0] ?? '') ?? [];
      return owners.sort().join() === names.join();
    });
  }

  /** Key groups of all jobs that a worker has. */
  groupsOf(worker: Process): number {
    const all = this.watch.views.flatMap(({ epochs }) => epochs?.workers ?? []);
    return all.filter(({ id }) => id.startsWith(`${worker.name}-`)).reduce((sum, { groups }) => sum + groups, 0);
  }

  /** Key groups that the workers alive have ever restored. */
  async restoredGroups(): Promise<number> {
    let sum = 0;
    const ours = new Set(this.alive.map(({ name }) => name));
    for (const { id, httpAddress, state } of await this.workerViews()) {
      if (state !== 'alive' || !ours.has(id.split('-')[0] ?? '')) continue;
      const text = await (await fetch(`http://${httpAddress}/metrics`)).text();
      for (const [, number] of text.matchAll(/^weir_restored_key_groups_total\{.*\} (\d+)$/gm)) sum += Number(number);
    }
    return sum;
  }

  workerViews(): Promise<WorkerView[]> {
    return this.cluster.workers();
  }

  async leader(): Promise<number> {
    return await until('one master leads', 20_000, async () => {
      for (const index of [0, 1]) {
        const response = await fetch(`${this.cluster.addressOf(index)}/readyz`, {
          signal: AbortSignal.timeout(1000),
        }).catch(() => null);
        const { role } = ((await response?.json().catch(() => null)) ?? {}) as { readonly role?: string };
        if (role === 'leader') return { index };
      }
      return undefined;
    }).then(({ index }) => index);
  }

  /** Workers join and leave as planned. */
  async move(what: string, joining: number, leaving: readonly Process[]): Promise<void> {
    const phase = this.watch.begin('move');
    const joined = Array.from({ length: joining }, async () => {
      this.workers.push(await this.cluster.startWorker());
    });
    // However long the handing over takes: nobody is killed for it.
    const left = leaving.map((worker) => {
      worker.signal('SIGTERM');
      return worker.exited;
    });
    await Promise.all([...joined, ...left]);
    await until(`${what}: the jobs are on ${this.alive.length} workers`, SETTLE_LIMIT_MS, () =>
      Promise.resolve(this.isPlaced()),
    );
    const ms = performance.now() - phase.from;
    await sleep(1000);
    const to = performance.now();
    phase.end();
    this.moves.push({ what, ms: Math.round(ms), from: phase.from, to });
    note(`${what}: done after ${Math.round(ms)} ms, longest gap until now ${this.gapOf(phase.from, to)} ms`);
  }

  /** Longest gap between commits of any job that overlaps the time, ms. */
  gapOf(from: number, to: number): number {
    return Math.round(Math.max(...jobs.map(({ name }) => this.watch.longestGap(name, from, to))));
  }

  /** Kills one worker, waits until all goes on, and lets another one join in its place. */
  async killWorker(): Promise<void> {
    const { alive } = this;
    const victim = must(alive[this.kills.length % alive.length], () => 'a worker');
    const owned = this.groupsOf(victim);
    const phase = this.watch.begin('kill');
    const others = this.alive.length > 1;
    await victim.kill9();
    const before = others ? await this.restoredGroups() : 0;
    if (!others) this.workers.push(await this.cluster.startWorker());
    const { ms, slowest } = await this.#resumed(`worker ${victim.name} was killed`, phase.from);
    const restored = (await this.restoredGroups()) - before;
    phase.end();
    this.kills.push({ what: victim.name, ms, slowest, owned, restored });
    note(`kill -9 of ${victim.name}: ${ms} ms until ${slowest} commits again; ${restored} groups restored of ${owned}`);
    if (others) await this.move('one joins in place of the dead', 1, []);
  }

  async killLeader(): Promise<void> {
    const index = await this.leader();
    const phase = this.watch.begin('leader');
    await this.masters[index]?.kill9();
    const { ms, slowest } = await this.#resumed('the leader was killed', phase.from);
    phase.end();
    this.leaderKills.push({ what: `master ${index + 1}`, ms, slowest, owned: 0, restored: 0 });
    note(`kill -9 of the leader: ${ms} ms until ${slowest} commits again`);
    this.masters[index] = await this.cluster.startMaster(index);
  }

  async #resumed(what: string, since: number): Promise<{ readonly ms: number; readonly slowest: string }> {
    const times = await until(`${what}: all jobs go on`, SETTLE_LIMIT_MS, () => {
      const all = jobs.map(({ name }) => [name, this.watch.resumedAfter(name, since)] as const);
      return Promise.resolve(all.every(([, ms]) => ms !== undefined) ? all : undefined);
    });
    const [slowest = '', ms = 0] = times.toSorted(([, a], [, b]) => (b ?? 0) - (a ?? 0))[0] ?? [];
    return { ms: Math.round(ms), slowest };
  }
}

async function main(): Promise<void> {
  const world = await World.create();
  const { cluster, connections, watch } = world;
  const load = {
    events: new Load({
      ...target(cluster, connections),
      topic: stream.EVENTS_TOPIC,
      partitions: stream.EVENT_PARTITIONS,
      recordsPerSecond: config.eventsPerSecond,
      make: stream.eventMaker(config),
    }),
    marks: new Load({
      ...target(cluster, connections),
      topic: stream.MARKS_TOPIC,
      partitions: stream.MARK_PARTITIONS,
      recordsPerSecond: stream.marksPerSecond(config),
      make: stream.markMaker(config),
    }),
  };
  try {
    await load.events.create();
    await load.marks.create();
    world.masters.push(await cluster.startMaster(0), await cluster.startMaster(1));
    await world.leader();
    world.workers.push(await cluster.startWorker());
    watch.start();
    const starting = watch.begin('start');
    for (const job of jobs) await cluster.apply(job.name, stream.jobFile(job, options.trigger));
    load.events.begin();
    load.marks.begin();
    const startedAt = performance.now();
    await until('all jobs commit', SETTLE_LIMIT_MS, () =>
      Promise.resolve(jobs.every(({ name }) => (watch.view(name)?.epochs?.committed ?? -1) >= 3)),
    );
    note('all jobs commit');
    await sleep(QUIET_MS);
    starting.end();
    note(lagOf(world));
    await theRun(world, startedAt);
    await load.events.end();
    await load.marks.end();
    await theEnd(world, load);
    let rows = 0;
    for (const job of jobs) rows += await compare(world, job, load);
    report(world, load, rows);
  } catch (error) {
    problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error));
    for (const { row, epochs } of watch.views)
      note(
        `${row.name}: ${row.state} ${JSON.stringify(row.reason)}, planned ${epochs?.planned}, committed ${epochs?.committed}, ` +
          `lag ${epochs?.lag}, on ${JSON.stringify(epochs?.workers)}, last ${JSON.stringify(epochs?.lastProgress?.durationMs)}`,
      );
    note(problems.at(-1) ?? '');
  } finally {
    await load.events.stop().catch(() => undefined);
    await load.marks.stop().catch(() => undefined);
    await world.close();
  }
}

function target(
  cluster: Cluster,
  connections: Connections,
): { readonly brokers: string } | { readonly writer: ReturnType<Connections['logWriter']> } {
  const { KAFKA_BROKERS } = cluster.services;
  return KAFKA_BROKERS === undefined ? { writer: connections.logWriter('kafka', {}) } : { brokers: KAFKA_BROKERS };
}

/** 1 → 4 → 2 → 3 workers; after each step quiet, then kills until its third of the time is over. */
async function theRun(world: World, startedAt: number): Promise<void> {
  const phases: readonly [string, (alive: readonly Process[]) => [number, readonly Process[]]][] = [
    ['1 → 4 workers', () => [3, []]],
    ['4 → 2 workers', (alive) => [0, alive.slice(0, 2)]],
    ['2 → 3 workers', () => [1, []]],
  ];
  for (const [index, [what, step]] of phases.entries()) {
    await sleep(QUIET_MS);
    await world.move(what, ...step(world.alive));
    await sleep(QUIET_MS);
    const until = startedAt + (durationMs * (index + 1)) / phases.length;
    let kills = 0;
    for (let next = performance.now(); next < until || kills === 0; next += KILL_EVERY_MS) {
      await sleep(Math.max(0, next - performance.now()));
      await world.killWorker();
      next = Math.max(next, performance.now() - KILL_EVERY_MS);
      kills += 1;
      // One in the first third, one in the last.
      if (kills === 1 && index !== 1) {
        await sleep(3000);
        await world.killLeader();
      }
    }
    note(lagOf(world));
  }
}

function lagOf({ watch }: World): string {
  const lags = watch.views.map(
    ({ row, lag, epochs }) =>
      `${row.name} ${lag} (epoch ${epochs?.committed ?? -1}, p50 ${Math.round(epochs?.epochMsP50 ?? 0)} ms)`,
  );
  return `lag ${lags.join(', ')}`;
}

async function theEnd(world: World, load: { readonly events: Load; readonly marks: Load }): Promise<void> {
  const { watch } = world;
  note(`the load has ended: ${load.events.total} events, ${load.marks.total} marks; ${lagOf(world)}`);
  const endedAt = performance.now();
  const caughtUp = (more: number): boolean =>
    jobs.every((job) => {
      const epochs = watch.view(job.name)?.epochs;
      const wanted =
        load.events.total +
        more * stream.EVENT_PARTITIONS +
        (job.sources.includes('marks:') ? load.marks.total + more * stream.MARK_PARTITIONS : 0);
      return epochs != null && epochs.counters.read === wanted && epochs.planned === epochs.committed;
    });
  await until('everything is committed', 300_000, () => Promise.resolve(caughtUp(0)));
  note(`everything is committed ${Math.round(performance.now() - endedAt)} ms after the load ended`);
  await load.events.sendLast(stream.lastEvent(config, load.events.counts));
  await load.marks.sendLast(stream.lastMark(config, load.events.counts));
  const watermark = stream.endWatermarkMs(config, load.events.counts);
  await until('the watermark has passed everything', 60_000, () =>
    Promise.resolve(
      caughtUp(1) && jobs.every(({ name }) => (watch.view(name)?.epochs?.watermarkMs ?? 0) === watermark),
    ),
  );
  await quiet(watch);
}

/** No epoch of any job for two seconds: those without data have run. */
async function quiet(watch: CommitWatch): Promise<void> {
  const state = (): string =>
    jobs.map(({ name }) => `${watch.view(name)?.epochs?.planned} ${watch.view(name)?.epochs?.committed}`).join();
  for (let before = ''; before !== state();) {
    before = state();
    await sleep(2000);
  }
}

async function compare(
  world: World,
  job: StateJob,
  load: { readonly events: Load; readonly marks: Load },
): Promise<number> {
  const counts = { events: load.events.counts, marks: load.marks.counts };
  const expected = stream.expectedRows(job, config, counts);
  const actual = await readTable(world.connections, job, expected);
  for (const problem of stream.differences(expected, actual)) check(false, `table ${job.name}: ${problem}`);
  const view = must(world.watch.view(job.name), () => job.name);
  const epochs = must(view.epochs, () => job.name);
  const late = Object.values(epochs.late).reduce((sum, rows) => sum + rows, 0);
  check(late === 0, `job ${job.name}: ${late} rows were late: ${JSON.stringify(epochs.late)}`);
  check(epochs.counters.dead === 0, `job ${job.name}: ${epochs.counters.dead} dead letters`);
  if (job.outputMode === 'append')
    check(
      epochs.counters.rowsOut === expected.size,
      `job ${job.name} emitted ${epochs.counters.rowsOut} rows instead of ${expected.size}`,
    );
  note(`table ${job.name}: ${actual.size} rows compared, ${epochs.committed + 1} epochs`);
  return actual.size;
}

/** Rows under every partition key that is expected: an answer has a largest size. */
async function readTable(connections: Connections, job: StateJob, expected: TableRows): Promise<TableRows> {
  const tables = connections.tables('cassandra', {});
  const [first] = job.primaryKey;
  const keys = new Set([...expected.keys()].map((key) => key.split(' ')[0] ?? ''));
  const rows: TableRows = new Map();
  const width = job.primaryKey.length;
  const columns = [...job.primaryKey, ...job.values].join(', ');
  const read = async (key: string): Promise<void> => {
    const literal = /^\d+$/.test(key) ? key : `'${key}'`;
    const from = `${stream.KEYSPACE}.${job.name} WHERE ${first} = ${literal}`;
    const found = await tables.query(`SELECT ${columns} FROM ${from}`);
    for (const row of found.rows) rows.set(row.slice(0, width).join(' '), row.slice(width).join(' '));
  };
  const queue = keys.values();
  const work = async (): Promise<void> => {
    for (const key of queue) await read(key);
  };
  await Promise.all(Array.from({ length: 8 }, work));
  return rows;
}

function report(world: World, load: { readonly events: Load; readonly marks: Load }, tableRows: number): void {
  const { watch } = world;
  check(watch.failed.size === 0, `jobs failed: ${JSON.stringify([...watch.failed])}`);
  const gaps = watch.gaps(jobs.map(({ name }) => name));
  const steady = gaps.get('steady') ?? figuresOf([]);
  const moving = gaps.get('move') ?? figuresOf([]);
  check(moving.p99 < MOVE_GAP_MS_MAX, `p99 gap during moves is ${moving.p99} ms`);
  check(moving.p99 <= 2 * steady.p99, `p99 gap during moves is ${moving.p99} ms, ${steady.p99} ms without`);
  for (const { what, ms, slowest, owned, restored } of world.kills) {
    check(ms <= KILL_RESUME_MS_MAX, `after the kill of ${what} ${slowest} took ${ms} ms`);
    check(
      restored <= owned || owned === 0,
      `after the kill of ${what} ${restored} groups were restored; it had ${owned}`,
    );
  }
  for (const { what, ms, slowest } of world.leaderKills)
    check(ms <= LEADER_RESUME_MS_MAX, `after the kill of ${what} ${slowest} took ${ms} ms`);
  const times = (list: readonly Resumption[]): string =>
    list.length === 0
      ? '-'
      : `p50 ${figuresOf(list.map(({ ms }) => ms)).p50}, worst ${Math.max(...list.map(({ ms }) => ms))}`;
  const gapsOfMoves = world.moves.map(({ what, from, to }) => `${what} ${world.gapOf(from, to)}`);
  const sum = (list: readonly number[]): number => list.reduce((total, one) => total + one, 0);
  const lines = [
    '# Stateful jobs under moves and kills',
    '',
    `\`node test/e2e/state.ts --minutes ${options.minutes} --rate ${options.rate} --store ${options.store} --trigger ${options.trigger}\`: ` +
      `${jobs.map(({ name }) => name).join(', ')} together, two masters, workers 1 → 4 → 2 → 3 with one thread each, ` +
      `${cpus().length} cores shared with ${options.store === 'real' ? 'Kafka, Cassandra' : 'the embedded store'} and the load; ` +
      `load average at the end ${loadavg()
        .map((one) => one.toFixed(1))
        .join(', ')}.`,
    '',
    '| | |',
    '| --- | --- |',
    `| records | ${load.events.total} events, ${load.marks.total} marks |`,
    `| rows compared, exact but for what is listed below | ${tableRows} |`,
    `| epochs committed | ${watch.views.map(({ row, epochs }) => `${row.name} ${(epochs?.committed ?? -1) + 1}`).join(', ')} |`,
    `| workers killed; planned moves; leaders killed | ${world.kills.length}; ${world.moves.length}; ${world.leaderKills.length} |`,
    `| gap between commits without moves, ms | p50 ${steady.p50}, p99 ${steady.p99}, longest ${steady.max} (${steady.count}) |`,
    `| during planned moves, ms | p50 ${moving.p50}, p99 ${moving.p99}, longest ${moving.max} (${moving.count}) |`,
    `| planned moves: until the last job is in place, ms | p50 ${figuresOf(world.moves.map(({ ms }) => ms)).p50}, worst ${Math.max(...world.moves.map(({ ms }) => ms))} |`,
    `| longest gap of any job by move, ms | ${gapsOfMoves.join('; ')} |`,
    `| kill of a worker → the slowest job commits again, ms | ${times(world.kills)} |`,
    `| key groups restored after kills / held by the dead | ${sum(world.kills.map(({ restored }) => restored))} / ${sum(world.kills.map(({ owned }) => owned))} |`,
    `| kill of the leader → the slowest job commits again, ms | ${times(world.leaderKills)} |`,
    '',
    problems.length === 0 ? 'Everything held.' : `Not so:\n${problems.map((problem) => `- ${problem}`).join('\n')}`,
    '',
  ];
  const text = lines.join('\n');
  process.stdout.write(`\n${text}`);
  if (options.out !== undefined) writeFileSync(options.out, text);
}

await main();
process.stdout.write(problems.length === 0 ? 'ok\n' : `${problems.length} problems\n`);
process.exit(problems.length === 0 ? 0 : 1);
