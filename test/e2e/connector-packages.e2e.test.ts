/** Packages of connectors in a cluster: a source and a sink that `weir init connector` wrote, rows from one to the other. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { freePorts } from '../services/java-server.ts';
import { Cluster, until } from '../support/cluster.ts';
import { docJob } from '../support/doc-jobs.ts';

const root = join(import.meta.dirname, '..', '..');

describe('connectors of packages', () => {
  const directory = mkdtempSync(join(tmpdir(), 'weir-kit-'));
  const [input, output] = [join(directory, 'in.ndjson'), join(directory, 'out.ndjson')];
  const slow = join(directory, 'slow');
  let cluster: Cluster;

  before(async () => {
    const [port = 0] = await freePorts(1);
    const allowed = {
      WEIR_EMBEDDED: `127.0.0.1:${port}`,
      WEIR_CONNECTORS: 'lines-in,lines-out',
      WEIR_CONNECTORS_DIR: directory,
      // As packed, the package's entries are built JavaScript; here they are its sources.
      NODE_OPTIONS: '--conditions=weir-source',
    };
    cluster = await Cluster.create(allowed);
    const modules = join(directory, 'node_modules');
    mkdirSync(modules);
    symlinkSync(root, join(modules, 'weir'));
    for (const [name, kind] of [
      ['lines-in', 'source'],
      ['lines-out', 'sink'],
    ] as const) {
      const folder = join(modules, `weir-connector-${name}`);
      // Without a cluster to ask, so before the cluster is there.
      const { code, output: said } = await cluster
        .weir(['init', 'connector', name, '--kind', kind, '--dir', folder])
        .catch((error: unknown) => ({ code: 1, output: String(error) }));
      assert.equal(code, 0, said);
    }
    const module = join(modules, 'weir-connector-lines-out', 'src', 'index.js');
    // A master that ran the code of a package would leave a mark. While the file "slow" is there, rows are not written.
    const mark = `import { existsSync, writeFileSync } from 'node:fs';
writeFileSync(\`${directory}/pid-\${process.pid}\`, '');
const slowly = async () => {
  while (existsSync('${slow}')) await new Promise((resolve) => setTimeout(resolve, 20));
};
`;
    const code = readFileSync(module, 'utf8');
    assert.match(code, /await appendFile\(/);
    writeFileSync(module, mark + code.replace('await appendFile(', 'await slowly();\n      await appendFile('));
    writeFileSync(input, '');
    cluster.spawn('embedded', ['embedded', '--port', String(port)]);
  });
  after(async () => {
    await cluster?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const rows = (from = output): string[] => {
    try {
      return readFileSync(from, 'utf8')
        .split('\n')
        .filter((line) => line !== '');
    } catch {
      return [];
    }
  };

  test('rows go from the one to the other, over a worker that is killed', async () => {
    const master = await cluster.startMaster();
    const worker = await cluster.startWorker();
    const file = docJob('shout').replaceAll('/data/', `${directory}/`);
    await cluster.apply('shout', file);
    const line = (id: number): string => `${JSON.stringify({ id: `u${id}`, name: 'ada' })}\n`;
    await appendFile(input, [0, 1, 2].map(line).join(''));
    await until('three rows are out', 60_000, async () => rows().length >= 3);
    await worker.kill9();
    await appendFile(input, [3, 4].map(line).join(''));
    const other = await cluster.startWorker();
    await until('five rows are out', 60_000, async () => new Set(rows()).size >= 5);
    assert.deepEqual(
      [...new Set(rows())].toSorted(),
      [0, 1, 2, 3, 4].map((id) => JSON.stringify({ id: `u${id}`, name: 'ADA' })),
    );
    const loadedBy = (pid: number): boolean => {
      try {
        readFileSync(join(directory, `pid-${pid}`));
        return true;
      } catch {
        return false;
      }
    };
    assert.deepEqual([worker.pid, other.pid, master.pid].map(loadedBy), [true, true, false]);
  });

  test('a sink that is down or slow: rows wait, the metrics say so, and each comes when it is back', async () => {
    const [from, to] = [join(directory, 'from.ndjson'), join(directory, 'to.ndjson')];
    writeFileSync(from, '');
    // There is a directory where the file should be: SINK_UNAVAILABLE.
    mkdirSync(to);
    const file = docJob('shout').replace('name: shout', 'name: waits').replace('/data/in.ndjson', from);
    await cluster.apply('waits', file.replace('/data/out.ndjson', to));
    const append = (id: string): Promise<void> => appendFile(from, `${JSON.stringify({ id, name: 'eve' })}\n`);
    const metric = async (name: string): Promise<number> => {
      const [worker] = await cluster.workers();
      const text = await (await fetch(`http://${worker?.httpAddress}/metrics`)).text();
      return Number(new RegExp(`^${name}\\{job_name="waits"[^}]*\\} (.*)$`, 'm').exec(text)?.[1]);
    };
    await append('a');
    await until('the sink is blocked', 60_000, async () => (await metric('weir_sink_blocked')) === 1);
    assert.ok((await metric('weir_sink_retries_total')) > 0);
    await until('the job runs', 30_000, async () => (await cluster.job('waits')).row.state === 'running');
    rmdirSync(to);
    await until('the row is out', 60_000, () => Promise.resolve(rows(to).length === 1));
    await until('nothing waits', 60_000, async () => (await metric('weir_sink_blocked')) === 0);
    await until('it is counted', 60_000, async () => (await cluster.job('waits')).counters.read === 1);

    writeFileSync(slow, '');
    await append('b');
    await until('the row is under way', 60_000, async () => (await metric('weir_sink_in_flight')) === 1);
    assert.equal((await cluster.job('waits')).counters.read, 1, 'what is not written is not counted');
    assert.equal(rows(to).length, 1);
    rmSync(slow);
    await until('the row is out', 60_000, () => Promise.resolve(rows(to).length === 2));
    await until('both are counted', 60_000, async () => (await cluster.job('waits')).counters.read === 2);
    assert.deepEqual(
      rows(to),
      ['a', 'b'].map((id) => JSON.stringify({ id, name: 'EVE' })),
    );
  });

  test('a job with a connector that is not allowed is refused', async () => {
    await assert.rejects(
      cluster.apply(
        'other',
        docJob('shout').replace('name: shout', 'name: other').replace('lines-out', 'queue-of-mine'),
      ),
      /weir-connector-queue-of-mine is not one that jobs may use/,
    );
  });
});
