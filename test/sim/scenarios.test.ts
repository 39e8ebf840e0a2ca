import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MASTER } from './cluster.ts';
import type { RunResult, Script } from './run.ts';
import { simulate } from './run.ts';
import { META_SERVER } from './sim-meta-store.ts';

/** A few seeds each: the script is fixed, the timing is not. */
async function play(script: Script, seeds = 5): Promise<RunResult[]> {
  const results: RunResult[] = [];
  for (let seed = 1; seed <= seeds; seed++) {
    const result = await simulate(seed, { script });
    assert.equal(result.violation, null, `seed ${seed}`);
    results.push(result);
  }
  return results;
}

const cutOff = (script: Parameters<Script['steps']>[0], slot: string, server: string): void => {
  script.cluster.network.cut(slot, server);
  script.cluster.network.cut(server, slot);
};

test('a lane that lost its right to write and got it back is still waited for when it moves', async () => {
  await play({
    workers: 1,
    partitions: 2,
    lastsMs: 14_000,
    steps: (script) => {
      script.at(2000, () => cutOff(script, 'w0', META_SERVER));
      script.at(6500, () => script.cluster.network.mend('w0', META_SERVER));
      script.at(8500, () => cutOff(script, 'w0', META_SERVER));
      script.at(8550, () => script.cluster.startWorker('w9'));
    },
  });
});

test('a job that changes twice before its lanes begin goes on where the lanes last stood', async () => {
  const results = await play({
    workers: 2,
    partitions: 3,
    lastsMs: 9000,
    steps: ({ cluster, at, changeJob }) => {
      at(3000, () => {
        cluster.crashWorker('w0');
        cluster.crashWorker('w1');
        changeJob();
      });
      at(3400, changeJob);
      at(3800, () => cluster.startWorker('w2'));
    },
  });
  for (const { runs } of results) assert.equal(runs, 3);
});

test('a job that changes while its definition is being opened never runs the former one as the new run', async () => {
  await play(
    {
      workers: 1,
      partitions: 4,
      lastsMs: 6000,
      steps: ({ cluster, at, changeJob }) => {
        for (let ms = 1030; ms < 1300; ms += 30) at(ms, changeJob);
        at(1040, () => cluster.startWorker('w5'));
      },
    },
    15,
  );
});

test('without a master rows keep flowing', async () => {
  await play({
    workers: 2,
    partitions: 2,
    lastsMs: 9000,
    steps: ({ cluster, at }) => {
      let before = 0;
      at(2500, () => cluster.crashMaster());
      at(4000, () => {
        before = rawRows(cluster);
      });
      at(8500, () => assert.ok(rawRows(cluster) > before + 50, `${rawRows(cluster) - before} rows in 4.5 s`));
    },
  });
});

test('a worker cut off from the master keeps its lanes until another has them, and then not', async () => {
  await play({
    workers: 2,
    partitions: 3,
    lastsMs: 12_000,
    steps: (script) => {
      script.at(2500, () => cutOff(script, 'w0', MASTER));
    },
  });
});

test('a worker that misses the first word of a job learns of it all the same', async () => {
  await play({
    workers: 1,
    partitions: 1,
    lastsMs: 5000,
    steps: (script) => {
      script.at(1, () => cutOff(script, 'w0', META_SERVER));
      script.at(4000, () => script.cluster.network.mend('w0', META_SERVER));
    },
  });
});

function rawRows(cluster: Parameters<Script['steps']>[0]['cluster']): number {
  return cluster.tableServer.rows('sim.raw').size;
}
