/** Executions of stateful jobs on feeds: nothing is read before everything that is there was fetched. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PlannedFeed } from '../core/job/feed-topics.ts';
import { feedSpecSchema } from '../core/job/feed-spec.ts';
import { offset } from '../core/ids.ts';
import type { ScriptedWorker } from '../test/sim/epoch-world.ts';
import { EpochWorld, JOB, countsPlan, countsSource } from '../test/sim/epoch-world.ts';
import { EpochFeeds } from './epochs-feeds.ts';

const feed: PlannedFeed = { spec: feedSpecSchema.parse({ connector: 'http', url: 'http://a/' }), remember: 100 };
const fedPlan = countsPlan({ trigger: { kind: 'availableNow' }, sources: [countsSource({ feed })] });

const endsOf = (world: EpochWorld): unknown => world.meta.head(JOB, world.run)?.ends ?? null;
const finished = (world: EpochWorld): boolean => world.master?.changes.at(-1)?.kind === 'finished';

/** The execution that a worker was last told to fetch for. */
const executionOf = (worker: ScriptedWorker): number => worker.prepares.at(-1)?.execution ?? 0;

function fetched(world: EpochWorld, worker: ScriptedWorker, execution = executionOf(worker)): void {
  worker.tellFeed({ source: 'events', fetched: execution, end: world.times[0]?.length ?? 0 });
}

test('an execution ends where its feeds have fetched all that was there', async () => {
  const world = new EpochWorld(61, 1, fedPlan);
  world.append(0, [100_000]);
  world.lead();
  const a = world.addWorker('a');
  await world.until(() => executionOf(a) > 0);
  const first = executionOf(a);
  await world.pass(10_000);
  assert.equal(endsOf(world), null);
  assert.equal(world.head.planned, -1);
  world.append(0, [200_000, 300_000]);
  fetched(world, a);
  await world.until(() => endsOf(world) !== null);
  // Comes too late for this one.
  world.append(0, [400_000]);
  await world.until(() => finished(world));
  assert.equal(world.head.counters.read, 3);
  assert.equal(world.head.ends, null);

  world.lead();
  await world.until(() => executionOf(a) > first);
  fetched(world, a);
  await world.until(() => finished(world));
  assert.equal(world.head.counters.read, 4);
});

test('what was fetched for an execution that is over does not count for the next one', async () => {
  const world = new EpochWorld(62, 1, fedPlan);
  world.append(0, [100_000]);
  world.lead();
  const a = world.addWorker('a');
  await world.until(() => executionOf(a) > 0);
  const first = executionOf(a);
  fetched(world, a);
  await world.until(() => finished(world));
  world.lead();
  await world.until(() => executionOf(a) > first);
  fetched(world, a, first);
  await world.pass(5000);
  assert.equal(endsOf(world), null);
  fetched(world, a);
  await world.until(() => finished(world));
});

test('a worker that takes the feed over fetches again; so does one under a new leader', async () => {
  const world = new EpochWorld(63, 1, fedPlan);
  world.append(0, [100_000]);
  world.lead();
  const a = world.addWorker('a');
  await world.until(() => executionOf(a) > 0);
  world.kill(a);
  const b = world.addWorker('b');
  await world.until(() => executionOf(b) > 0);
  assert.equal(executionOf(b), executionOf(a));
  world.lead();
  await world.until(() => executionOf(b) > executionOf(a));
  fetched(world, b, executionOf(a));
  await world.pass(3000);
  assert.equal(endsOf(world), null);
  fetched(world, b);
  await world.until(() => finished(world));
  assert.equal(world.head.counters.read, 1);
});

test('a leader that takes over an execution whose end is fixed has nothing fetched', async () => {
  const world = new EpochWorld(64, 1, fedPlan);
  world.append(0, [100_000]);
  world.lead();
  const a = world.addWorker('a', { mapMs: 5000 });
  await world.until(() => executionOf(a) > 0);
  fetched(world, a);
  await world.until(() => endsOf(world) !== null);
  const before = a.prepares.length;
  world.lead();
  await world.until(() => a.prepares.length > before);
  assert.equal(executionOf(a), 0);
  await world.until(() => finished(world));
  assert.equal(world.head.counters.read, 1);
});

test('why a feed gives nothing is what the job waits for', async () => {
  for (const plan of [fedPlan, countsPlan({ sources: [countsSource({ feed })] })]) {
    const world = new EpochWorld(65, 1, plan);
    const master = world.lead();
    const a = world.addWorker('a');
    await world.until(() => master.coordinator.view().workers.length === 1);
    a.tellFeed({ source: 'events', code: 'UNAUTHORIZED', message: 'the key is refused' });
    await world.pass(100);
    assert.deepEqual(master.coordinator.waiting, { code: 'UNAUTHORIZED', message: 'the key is refused' });
    a.tellFeed({ source: 'events' });
    await world.pass(100);
    assert.equal(master.coordinator.waiting, null);
  }
});

test('an end that the log does not show yet is the end all the same, in the first partition', () => {
  const world = new EpochWorld(66, 2, fedPlan);
  const [first, second] = [world.lane(0), world.lane(1)];
  const feeds = new EpochFeeds(fedPlan);
  feeds.begin(7);
  assert.ok(feeds.pending);
  feeds.take({ source: 'events', code: '', message: '', fetched: 7, end: 12 });
  assert.ok(!feeds.pending);
  assert.deepEqual(feeds.beyond({ [first]: offset(10), [second]: offset(3) }), { [first]: 12, [second]: 3 });
  assert.deepEqual(feeds.beyond({ [first]: offset(15), [second]: offset(3) }), { [first]: 15, [second]: 3 });
});
