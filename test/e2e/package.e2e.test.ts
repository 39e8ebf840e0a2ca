/** The packed tarball in an empty folder: no TypeScript of Weir's own is run there, and a job runs all the same. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { freePorts } from '../services/java-server.ts';
import { until } from '../support/cluster.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

test(
  'the packed package installs into an empty folder and runs jobs, a TypeScript producer of the user among them',
  { timeout: 300_000 },
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'weir-package-'));
    after(() => rm(folder, { recursive: true, force: true }));
    await run('npm', ['pack', '--pack-destination', folder], { cwd: root });
    const tarball = (await readdir(folder)).find((name) => name.endsWith('.tgz'));
    assert.ok(tarball !== undefined);
    await writeFile(join(folder, 'package.json'), '{"name":"user","private":true,"type":"module"}');
    await run('npm', ['install', '--no-audit', '--no-fund', `./${tarball}`], { cwd: folder });
    const weir = join(folder, 'node_modules/.bin/weir');
    const { stdout: version } = await run(weir, ['version'], { cwd: folder });
    assert.match(version, /\d+\.\d+\.\d+/);
    await run(weir, ['init', 'connector', 'packed', '--kind', 'sink'], { cwd: folder });
    const { NODE_TEST_CONTEXT: _, ...outside } = process.env;
    const { stdout: contract } = await run(process.execPath, ['--test', '--test-reporter=tap'], {
      cwd: join(folder, 'weir-connector-packed'),
      env: outside,
    });
    assert.match(contract, /^# pass 8$/m);
    await writeFile(join(folder, 'numbers.ts'), producer);
    await writeFile(join(folder, 'numbers.yaml'), job);
    const [http = 0, grpc = 0, embedded = 0] = await freePorts(3);
    const env = {
      ...process.env,
      WEIR_TOKEN: 'package-test',
      WEIR_ADDRESS: `http://127.0.0.1:${http}`,
      WEIR_EMBEDDED: `127.0.0.1:${embedded}`,
    };
    const ports = ['--port', String(http), '--grpc-port', String(grpc), '--embedded-port', String(embedded)];
    const dev = execFile(weir, ['dev', '--no-jobs', '--no-producers', '--workers', '1', ...ports], {
      cwd: folder,
      env,
    });
    try {
      await until('the cluster answers', 60_000, async () => (await fetch(`http://127.0.0.1:${http}/readyz`)).ok);
      await run(weir, ['produce', 'numbers.ts', '--count', '100', '--rate', '0'], { cwd: folder, env });
      await run(weir, ['apply', 'numbers.yaml', '--wait'], { cwd: folder, env });
      const rows = await until('the rows are there', 60_000, async () => {
        const { stdout } = await run(weir, ['query', 'SELECT count(*) FROM user.numbers', '-o', 'json'], {
          cwd: folder,
          env,
        });
        return /\b50\b/.test(stdout) ? stdout : undefined;
      });
      assert.match(rows, /50/);
    } finally {
      const ended = new Promise((resolve) => dev.once('exit', resolve));
      dev.kill('SIGINT');
      await ended;
    }
  },
);

const producer = `
import { defineProducer } from 'weir';

export default defineProducer({
  name: 'numbers',
  topic: 'numbers',
  partitions: 2,
  async run({ args, send }) {
    const records: { key: string; value: string }[] = [];
    for (let n = 0; n < args.count; n++) records.push({ key: String(n), value: JSON.stringify({ n }) });
    await send('numbers', records);
  },
});
`;

const job = `
apiVersion: weir/v1
kind: Job
name: numbers
sources:
  numbers: { connector: kafka, topic: numbers, startingOffsets: earliest, schema: 'n INT NOT NULL' }
query: SELECT n, n * n AS square FROM numbers WHERE n % 2 = 0
sinks:
  - { connector: cassandra, keyspace: user, table: numbers, primaryKey: [n], create: true }
`;
