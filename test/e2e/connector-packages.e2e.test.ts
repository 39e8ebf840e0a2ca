/** Packages of connectors in a cluster: a source and a sink that `weir init connector` wrote, rows from one to the other. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
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
    // A master that ran the code of a package would leave a mark.
    const module = join(modules, 'weir-connector-lines-out', 'src', 'index.js');
    const mark =
      "import { writeFileSync } from 'node:fs';\nwriteFileSync(`" + directory + '/pid-${process.pid}`, "");\n';
    writeFileSync(module, mark + readFileSync(module, 'utf8'));
    writeFileSync(input, '');
    cluster.spawn('embedded', ['embedded', '--port', String(port)]);
  });
  after(async () => {
    await cluster?.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const rows = (): string[] => {
    try {
      return readFileSync(output, 'utf8')
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
