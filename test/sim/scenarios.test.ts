import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MASTER } from './cluster.ts';
import { healthy } from './network.ts';
import type { RunResult, Script } from './run.ts';
import { simulate } from './run.ts';
import { SIM_TOPIC } from './sim-job.ts';
import { META_SERVER } from './sim-meta-store.ts';

/** A few seeds each: the script is fixed, the timing is not. */
async function play(script: Script, seeds = 5, first = 1): Promise<RunResult[]> {
  const results: RunResult[] = [];
  for (let seed = first; seed < first + seeds; seed++) {
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

test('a job that changes while its former definition is being opened never runs that one as the new run', async () => {
  const script: Script = {
    workers: 1,
    partitions: 1,
    lastsMs: 7000,
    steps: ({ cluster, at, changeJob }) => {
      at(2, () => {
        cluster.network.faults = { ...healthy, slow: 0.7 };
      });
      for (let ms = 1100; ms < 6000; ms += 700) {
        at(ms, changeJob);
        at(ms + 50, () => {
          if (cluster.logServer.topic(SIM_TOPIC).partitions.length < 7) cluster.logServer.addPartition(SIM_TOPIC);
        });
      }
    },
  };
  await play(script, 10, 190);
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
