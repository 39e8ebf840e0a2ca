import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JobSpecInput } from '../core/job/spec.ts';
import { jobSpecSchema } from '../core/job/spec.ts';
import type { Manifest } from '../core/epoch/manifest.ts';
import { blobsOf, decodeManifest } from '../core/epoch/manifest.ts';
import type { Fence } from '../core/ids.ts';
import { revision } from '../core/ids.ts';
import type { Connections, ControlStream } from '../core/ports.ts';
import { planJob } from '../engine/plan/plan-job.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import type { EpochOrder, EpochReport, MasterMessage, WorkerMessage } from '../proto/gen/control.ts';
import { PROTOCOL_VERSION } from '../proto/version.ts';
import type { Leader, ScriptedWorker } from '../test/sim/epoch-world.ts';
import { EpochWorld, JOB, silent } from '../test/sim/epoch-world.ts';
import type { SimNode } from '../test/sim/kernel.ts';
import type { StreamPair } from '../test/sim/network.ts';
import { SimBlobStore } from '../test/sim/sim-blobs.ts';
import { SimSource } from '../test/sim/sim-log.ts';
import { SimMetaStore } from '../test/sim/sim-meta-store.ts';
import type { JobDefinition } from './job-definition.ts';
import { Coordinator } from './coordinator.ts';
import type { JobView } from './views.ts';

const counts = 'SELECT word, count(*) AS c FROM events GROUP BY word';

function define(query = counts, changes: Partial<JobSpecInput> = {}): JobDefinition & { readonly plan: EpochsPlan } {
  const { plan, problems } = planJob(
    jobSpecSchema.parse({
      apiVersion: 'weir/v1',
      kind: 'Job',
      name: JOB,
      sources: {
        events: { connector: 'kafka', topic: 'events', startingOffsets: 'earliest', schema: 'word STRING, n BIGINT' },
      },
      query,
      sinks: [{ connector: 'blackhole' }],
      outputMode: 'update',
      trigger: 'manual',
      ...changes,
    } satisfies JobSpecInput),
    { tables: null },
  );
  assert.deepEqual(problems, []);
  assert.ok(plan?.protocol === 'epochs');
  const text = JSON.stringify({ plan });
  return { name: JOB, hash: `hash of ${text}`, text, plan };
}

/** A master with the whole coordinator; scripted workers register as real ones do. */
class Office implements Leader {
  readonly node: SimNode;
  readonly coordinator: Coordinator;
  readonly #world: EpochWorld;
  readonly drained = new Set<string>();

  constructor(world: EpochWorld, token = 1) {
    this.#world = world;
    const { sim, network } = world;
    this.node = sim.node(`office-${token}`);
    const store = new SimMetaStore(sim, network, world.meta, this.node, { hideFormerOwners: false });
    const source = new SimSource(sim, network, world.log, this.node);
    const blobs = new SimBlobStore(sim, network, world.blobs, this.node, sim.rng.fork('blobs'));
    const none = (): never => assert.fail('not used here');
    const connections: Connections = {
      source: () => source,
      blobs: () => blobs,
      logWriter: none,
      tables: none,
      rowSinks: none,
      describe: none,
      close: () => Promise.resolve(),
    };
    this.coordinator = new Coordinator({
      id: 'office',
      store,
      connections,
      clock: sim.clock(this.node),
      rng: sim.rng.fork(`office ${token}`),
      log: silent,
      token: '',
      sameToken: () => true,
      fence: token as Fence,
    });
    world.leader = this;
  }

  attach(worker: ScriptedWorker, pair: StreamPair<EpochReport, EpochOrder>): void {
    const { sim } = this.#world;
    const stream: ControlStream<WorkerMessage, MasterMessage> = {
      send: (message) => {
        if (message.epoch) pair.server.send(message.epoch);
        if (message.drained) this.drained.add(worker.id);
      },
      onMessage: (handler) => {
        pair.server.onMessage((report) => handler({ epoch: report }));
        sim.at(0, this.node, () =>
          handler({
            register: {
              workerId: worker.id,
              protocolVersion: PROTOCOL_VERSION,
              formatVersion: 1,
              httpAddress: '',
              threads: worker.threads,
              token: '',
              weirVersion: '',
              exchangeAddress: `${worker.id}:1`,
            },
          }),
        );
        const beat = (): void => {
          if (worker.node.dead) return;
          handler({
            heartbeat: { sequence: 0, eventLoopDelayMs: 0, rssBytes: 0, lanes: [], jobs: [], schemaChanges: [] },
          });
          if (worker.leaving) handler({ drain: { reason: 'test' } });
          sim.at(500, this.node, beat);
        };
        sim.at(1, this.node, beat);
      },
      onClose: (handler) => pair.server.onClose(handler),
      close: () => pair.server.close(),
    };
    this.coordinator.attach(stream);
  }

  detach(): void {}

  get view(): JobView {
    const view = this.coordinator.job(JOB);
    assert.ok(view);
    return view;
  }
}

async function started(definition = define(), partitions = 2): Promise<{ world: EpochWorld; office: Office }> {
  const world = new EpochWorld(1, partitions, definition.plan);
  const office = new Office(world);
  await world.settle(office.coordinator.open());
  world.addWorker('a');
  await world.settle(office.coordinator.apply(definition));
  await world.until(() => office.view.row.state === 'running');
  return { world, office };
}

async function stepped(world: EpochWorld, office: Office, ...batches: readonly number[]): Promise<void> {
  for (const [index, records] of batches.entries())
    if (records > 0)
      world.append(
        index,
        Array.from({ length: records }, () => 1),
      );
  await world.settle(office.coordinator.step(JOB));
}

function assertExact(world: EpochWorld): void {
  const table = [...world.table].map(([group, { count }]) => [group, count]);
  assert.deepEqual(table.sort(), [...world.logCounts()].sort());
}

test('a stateful job runs, stops, starts again and goes on', async () => {
  const { world, office } = await started();
  await stepped(world, office, 3, 2);
  assert.equal(office.view.epochs?.committed, 0);
  assert.equal(office.view.counters.read, 5);
  await world.settle(office.coordinator.stop(JOB));
  await world.until(() => office.view.row.state === 'stopped');
  assert.equal(office.view.counters.read, 5);
  await assert.rejects(world.settle(office.coordinator.step(JOB)), { code: 'CONFLICT' });
  await world.settle(office.coordinator.start(JOB));
  await world.until(() => office.view.row.state === 'running');
  await stepped(world, office, 0, 4);
  assert.equal(office.view.counters.read, 9);
  assertExact(world);
});

test('a job that is started again while it stops goes on once it has stopped', async () => {
  const { world, office } = await started(define(counts, { trigger: 'asap' }));
  world.append(0, [1, 2, 3]);
  await world.until(() => world.head.planned > world.head.committed);
  await world.settle(office.coordinator.stop(JOB));
  await world.settle(office.coordinator.start(JOB));
  assert.equal(office.view.row.state, 'starting', 'it does not run before it has stopped');
  world.append(1, [4, 5]);
  await world.until(() => office.view.row.state === 'running' && world.allRead());
  assertExact(world);
});

test('a cancelled job leaves what is under way to its next start', async () => {
  const { world, office } = await started(define(counts, { trigger: 'asap' }));
  world.append(0, [1, 2, 3]);
  await world.until(() => world.head.planned > world.head.committed);
  await world.settle(office.coordinator.cancel(JOB));
  await world.pass(500);
  await world.settle(office.coordinator.start(JOB));
  await world.until(() => world.allRead());
  await world.pass(1000);
  assertExact(world);
});

test('a new master goes on with the jobs of the old one', async () => {
  const { world, office } = await started();
  await stepped(world, office, 3);
  office.node.dead = true;
  const next = new Office(world, 2);
  await world.settle(next.coordinator.open());
  for (const worker of world.workers.values()) worker.connect(next);
  await world.pass(3000);
  await stepped(world, next, 2, 1);
  assert.equal(world.head.fence, 2);
  assert.equal(next.view.counters.read, 6);
  assertExact(world);
});

test('a change that keeps the meaning of the state goes on with it in a new run', async () => {
  const { world, office } = await started();
  await stepped(world, office, 3, 3);
  const changed = define(
    'SELECT upper(word) AS w, c FROM (SELECT word, count(*) AS c FROM events GROUP BY word) WHERE c > 1',
  );
  const row = await world.settle(office.coordinator.apply(changed));
  assert.deepEqual([row.revision, row.run], [2, 2]);
  await world.until(() => office.view.row.state === 'running');
  await stepped(world, office, 5, 1);
  assert.equal(office.view.counters.read, 12);
  assertExact(world);
  assert.equal(world.head.run, 2);
  assert.ok(world.head.base !== null);
});

test('a changed job repeats what no snapshot covers as it was planned, for a topic that is written exactly once', async () => {
  const exactly: Partial<JobSpecInput> = {
    trigger: 'asap',
    sinks: [{ connector: 'kafka', topic: 'counted', guarantee: 'exactlyOnce' }],
  };
  const { world, office } = await started(define(counts, exactly));
  for (let round = 0; round < 5; round++) {
    world.append(round % 2, [1, 2, 3]);
    await world.until(() => world.allRead());
  }
  const [worker] = [...world.workers.values()];
  assert.ok(worker);
  world.append(0, [4, 5]);
  await world.until(() => world.head.planned > world.head.committed);
  world.kill(worker);
  await world.pass(8000);
  const former = [...world.plans.values()].filter((plan) => plan.epoch > (world.head.snapshot?.epoch ?? -1));
  assert.ok(former.length > 1, `${former.length} plans`);
  world.forgetAfter((former[0]?.epoch ?? 0) - 1);
  // More has come in: a run that divides by itself would take it with the rest.
  world.append(1, [6, 7]);
  await world.settle(office.coordinator.apply(define(`${counts} HAVING count(*) > 1`, exactly)));
  world.addWorker('b');
  await world.until(() => world.head.run === 2 && world.allRead());
  for (const plan of former) {
    const again = world.plans.get(plan.epoch);
    assert.deepEqual([again?.ranges, again?.evictUs, again?.repeats], [plan.ranges, plan.evictUs, plan.epochTsUs]);
  }
  const next = world.plans.get((former.at(-1)?.epoch ?? 0) + 1);
  assert.equal(next?.repeats, undefined);
  assert.equal(world.head.repeats, null);
  assert.deepEqual(
    [...world.blobs.blobs.keys()].filter((id) => id.includes('/repeats/')),
    [],
  );
  await world.pass(1000);
  assertExact(world);
});

test('what is stored is read through what a change made of the aggregates', async () => {
  const { world, office } = await started();
  await stepped(world, office, 3, 3);
  const wanted = 'SELECT word, max(n) AS most, count(*) AS total FROM events GROUP BY word';
  const notes = await world.settle(office.coordinator.changes(define(wanted)));
  assert.deepEqual(notes, ['aggregate-1 begins max(n) empty, with what comes from now on']);
  assert.equal(office.view.row.run, 1);
  const base = async (definition: JobDefinition): Promise<Manifest> => {
    await world.settle(office.coordinator.apply(definition));
    await world.until(() => office.view.row.state === 'running');
    assert.ok(world.head.base);
    return decodeManifest(world.blobs.get(world.head.base.manifest) ?? assert.fail('no manifest'));
  };
  const first = await base(define(wanted));
  const groups = Object.keys(first.groups);
  assert.ok(groups.length > 0);
  assert.equal(first.definition, define(wanted).hash);
  assert.deepEqual(first.sections, Object.fromEntries(groups.map((group) => [group, [-1, 0]])));
  await stepped(world, office, 1);
  const next: Partial<JobSpecInput> = { sinks: [{ connector: 'blackhole' }, { connector: 'console' }] };
  assert.deepEqual(await world.settle(office.coordinator.changes(define(counts, next))), [
    'aggregate-1 drops max(n)',
    'console gets what comes out from now on, nothing of what came out before',
  ]);
  const { row, notes: told } = await world.settle(office.coordinator.rollback(JOB));
  assert.deepEqual([row.revision, told], [3, ['aggregate-1 drops max(n)']]);
  await world.until(() => office.view.row.state === 'running');
  await stepped(world, office, 2);
  assertExact(world);
});

test('the state of a deleted job goes, but for its savepoints', async () => {
  const { world, office } = await started();
  await stepped(world, office, 3, 3);
  await world.settle(office.coordinator.createSavepoint(JOB, 'kept'));
  await stepped(world, office, 2, 2);
  await world.settle(office.coordinator.stop(JOB));
  await world.until(() => office.view.row.state === 'stopped');
  await world.settle(office.coordinator.remove(JOB));
  await world.pass(3000);
  const savepoint = (await world.settle(office.coordinator.savepoints(JOB)))[0];
  const manifest = savepoint?.head.snapshot?.manifest ?? assert.fail('no savepoint');
  const left = decodeManifest(world.blobs.get(manifest) ?? assert.fail('the savepoint lost its manifest'));
  assert.deepEqual([...world.blobs.blobs.keys()].toSorted(), [...blobsOf(manifest, left)].toSorted());
  await assert.rejects(world.settle(office.coordinator.changes(define(counts), { start: 'continue' })), {
    code: 'CONFLICT',
  });
  await world.settle(office.coordinator.deleteSavepoint(JOB, 'kept'));
  assert.deepEqual([...world.blobs.blobs.keys()], []);
});

test('a change that breaks the state is refused with its reasons, and the job goes on', async () => {
  const { world, office } = await started();
  await stepped(world, office, 3);
  const other = define('SELECT n, count(*) AS c FROM events GROUP BY n');
  await assert.rejects(world.settle(office.coordinator.apply(other)), (error: Error & { code?: string }) => {
    assert.equal(error.code, 'STATE_INCOMPATIBLE');
    assert.match(error.message, /keyed by .*n BIGINT.*was by .*word STRING.*--from earliest/);
    return true;
  });
  await stepped(world, office, 0, 2);
  assert.equal(office.view.counters.read, 5);
  // With a reset it begins anew.
  world.beginRun(2, true);
  await world.settle(office.coordinator.apply(other, { start: 'earliest' }));
  await world.until(() => office.view.row.state === 'running');
  await stepped(world, office, 1);
  assert.equal(office.view.counters.read, 6);
  assertExact(world);
});

test('a savepoint is kept, started from, and deleted', async () => {
  const { world, office } = await started();
  await stepped(world, office, 3, 3);
  const savepoint = await world.settle(office.coordinator.createSavepoint(JOB, 'before-change'));
  assert.equal(savepoint.head.counters.read, 6);
  assert.ok(savepoint.bytes > 0);
  await assert.rejects(world.settle(office.coordinator.createSavepoint(JOB, 'before-change')), { code: 'CONFLICT' });
  await stepped(world, office, 2, 2);
  await world.settle(office.coordinator.stop(JOB));
  await world.until(() => office.view.row.state === 'stopped');
  // Plans after the savepoint are of the former run.
  world.forgetAfter(savepoint.head.committed);
  world.beginRun(2);
  await world.settle(office.coordinator.apply(define(), { start: { savepoint: 'before-change' } }));
  await world.until(() => office.view.row.state === 'running');
  assert.equal(office.view.counters.read, 6);
  await stepped(world, office, 1);
  assert.equal(office.view.counters.read, 11);
  assertExact(world);
  assert.deepEqual(
    (await world.settle(office.coordinator.savepoints(JOB))).map(({ name }) => name),
    ['before-change'],
  );
  await world.settle(office.coordinator.deleteSavepoint(JOB, 'before-change'));
  await assert.rejects(world.settle(office.coordinator.deleteSavepoint(JOB, 'before-change')), { code: 'NOT_FOUND' });
});

test('a rollback makes the former definition the next revision', async () => {
  const { world, office } = await started();
  await stepped(world, office, 3);
  await assert.rejects(world.settle(office.coordinator.rollback(JOB)), { code: 'NOT_FOUND' });
  const first = office.view.row.definition;
  await world.settle(office.coordinator.apply(define(`${counts} HAVING count(*) > 1`)));
  await world.until(() => office.view.row.state === 'running');
  await stepped(world, office, 1);
  const { row } = await world.settle(office.coordinator.rollback(JOB));
  assert.deepEqual([row.revision, row.definition], [3, first]);
  await world.until(() => office.view.row.state === 'running');
  await stepped(world, office, 1);
  assert.equal(office.view.counters.read, 5);
  assertExact(world);
  await assert.rejects(world.settle(office.coordinator.rollback(JOB, revision(9))), { code: 'NOT_FOUND' });
});

test('a job that cannot go on fails with the code of its trouble and may be started again', async () => {
  const { world, office } = await started();
  const worker = [...world.workers.values()][0];
  assert.ok(worker);
  worker.script.trouble = () => ({ code: 'STATE_LIMIT', retry: false });
  await assert.rejects(stepped(world, office, 3), { code: 'STATE_LIMIT' });
  await world.until(() => office.view.row.state === 'failed');
  assert.equal(office.view.row.reason?.code, 'STATE_LIMIT');
  worker.script.trouble = () => null;
  await world.settle(office.coordinator.start(JOB));
  await world.until(() => world.head.committed === 0);
  await world.pass(1000);
  assertExact(world);
});

test('an availableNow execution ends as finished', async () => {
  const definition = define(counts, { trigger: 'availableNow' });
  const world = new EpochWorld(1, 2, definition.plan);
  world.append(0, [1, 2, 3]);
  const office = new Office(world);
  await world.settle(office.coordinator.open());
  world.addWorker('a');
  await world.settle(office.coordinator.apply(definition));
  await world.until(() => office.view.row.state === 'finished');
  assert.equal(office.view.counters.read, 3);
  world.append(1, [1]);
  await world.settle(office.coordinator.start(JOB));
  await world.until(() => office.view.row.state === 'finished' && office.view.counters.read === 4);
  assertExact(world);
});

test('a worker that drains hands its groups over before it is let go', async () => {
  const { world, office } = await started();
  world.addWorker('b');
  await world.until(() => office.view.epochs?.workers.length === 2);
  const [leaving] = [...world.workers.values()];
  assert.ok(leaving);
  leaving.leaving = true;
  await world.until(() => office.drained.has(leaving.id));
  assert.deepEqual(
    office.view.epochs?.workers.map(({ id }) => id),
    ['b'],
  );
  await stepped(world, office, 4, 1);
  assertExact(world);
});
