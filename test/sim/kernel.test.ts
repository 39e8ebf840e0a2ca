import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Simulation } from './kernel.ts';

test('events run in the order of virtual time, and real promises settle in between', async () => {
  const sim = new Simulation(1);
  const clock = sim.clock(sim.node('a'));
  const seen: string[] = [];
  const sleepy = async (name: string, ms: number): Promise<void> => {
    await clock.sleep(ms);
    seen.push(`${name}@${sim.now}`);
    await clock.sleep(ms);
    seen.push(`${name}@${sim.now}`);
  };
  void sleepy('slow', 30);
  void sleepy('fast', 10);
  await sim.run(1000);
  assert.deepEqual(seen, ['fast@10', 'fast@20', 'slow@30', 'slow@60']);
  assert.equal(sim.now, 1000);
});

test('a dead node does nothing more; a paused one does it later and in order', async () => {
  const sim = new Simulation(2);
  const [dead, paused] = [sim.node('dead'), sim.node('paused')];
  const seen: string[] = [];
  sim.at(10, dead, () => seen.push('dead'));
  for (let index = 0; index < 20; index++)
    sim.at(10 + index / 100, paused, () => seen.push(`${index}@${Math.floor(sim.now)}`));
  dead.dead = true;
  paused.pausedUntil = 500;
  await sim.run(1000);
  assert.deepEqual(
    seen,
    Array.from({ length: 20 }, (_, index) => `${index}@500`),
  );
});

test('an aborted sleep rejects with the reason and leaves no timer', async () => {
  const sim = new Simulation(3);
  const clock = sim.clock(sim.node('a'));
  const controller = new AbortController();
  const reason = new Error('enough');
  const slept = clock.sleep(100, controller.signal);
  sim.at(10, null, () => controller.abort(reason));
  const seen = slept.catch((error: unknown) => error);
  await sim.run(1000);
  assert.equal(await seen, reason);
  assert.equal(sim.events, 1);
});

test('each node has its own clocks', () => {
  const sim = new Simulation(4);
  const [a, b] = [sim.node('a'), sim.node('b', 5000)];
  assert.equal(sim.clock(b).now() - sim.clock(a).now(), 5000);
  a.wallSkewMs = -1000;
  assert.equal(sim.clock(b).now() - sim.clock(a).now(), 6000);
  assert.notEqual(sim.clock(a).mono(), sim.clock(b).mono());
});

test('the same seed gives the same trace, another seed another one', async () => {
  const trace = async (seed: number): Promise<number> => {
    const sim = new Simulation(seed);
    const node = sim.node('n');
    const again = (depth: number): void => {
      if (depth < 50) sim.at(sim.rng.unit() * 10, node, () => again(depth + 1));
    };
    again(0);
    await sim.run(10_000);
    return sim.traceHash;
  };
  assert.equal(await trace(5), await trace(5));
  assert.notEqual(await trace(5), await trace(6));
});

test('real time and chance are trapped during a run and free again after it', async () => {
  const sim = new Simulation(6);
  const thrown: string[] = [];
  const tries: (() => unknown)[] = [
    () => Date.now(),
    () => new Date(),
    () => Math.random(),
    () => setTimeout(() => undefined, 1),
    () => performance.now(),
  ];
  sim.at(1, null, () => {
    for (const attempt of tries) {
      try {
        attempt();
      } catch (error) {
        thrown.push((error as Error).message);
      }
    }
    assert.equal(new Date(0).getTime(), 0);
  });
  await sim.run(10);
  assert.equal(thrown.length, tries.length, thrown.join('\n'));
  for (const attempt of tries.slice(0, 3)) attempt();
});

test('what an event throws ends the run as a violation', async () => {
  const throwing = new Simulation(7);
  throwing.at(1, null, () => {
    throw new Error('boom');
  });
  await throwing.run(10);
  assert.match(throwing.violation?.message ?? '', /boom/);
});

test('something that spins ends the run as a violation', async () => {
  const sim = new Simulation(8);
  const spin = (): void => void sim.at(0, null, spin);
  spin();
  await sim.run(10, undefined, 100);
  assert.match(sim.violation?.message ?? '', /spins/);
});
