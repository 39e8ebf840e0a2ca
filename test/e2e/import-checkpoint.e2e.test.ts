/**
 * `weir import-checkpoint` with checkpoints that Spark left (cli/spark/testdata), on the embedded log. With a Spark that runs:
 * test/connect/import-checkpoint.test.ts.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Testbed } from '../connect/testbed.ts';
import { until } from '../support/cluster.ts';

const checkpoint = (name: string): string =>
  fileURLToPath(new URL(`../../cli/spark/testdata/${name}`, import.meta.url));

describe('weir import-checkpoint', () => {
  let bed: Testbed;
  let directory: string;

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'weir-import-'));
    bed = await Testbed.open();
    await bed.cluster.startWorker();
  });
  after(async () => {
    await bed?.close();
    await rm(directory, { recursive: true, force: true });
  });

  const weir = async (...args: string[]): Promise<{ readonly code: number | null; readonly output: string }> =>
    await bed.cluster.weir(['import-checkpoint', ...args]);
  /** 200 records in partition 0, the others in partition 1: ids count on. */
  const fill = async (topic: string, count: number, at: (index: number) => string): Promise<void> => {
    await bed.createTopic(topic, 2);
    const users = Array.from({ length: count }, (_, index) => ({ id: `u${index}`, at: at(index) }));
    await bed.produce(topic, 2, users);
  };
  const jobFile = async (name: string, topic: string, query: string, key: string, more = ''): Promise<string> => {
    const file = join(directory, `${name}.yaml`);
    await writeFile(
      file,
      `apiVersion: weir/v1
kind: Job
name: ${name}
sources:
  users: { connector: kafka, topic: ${topic}, schema: 'id STRING NOT NULL, at TIMESTAMP'${more} }
query: ${query}
sinks:
  - { connector: cassandra, keyspace: imported, table: ${name.replaceAll('-', '_')}, primaryKey: [${key}], create: true }
`,
    );
    return file;
  };
  const rows = async (select: string): Promise<readonly (readonly unknown[])[]> =>
    (await bed.tables.query(select)).rows;
  const noon = (): string => '2024-05-01T12:00:00Z';

  test('a job begins behind the last committed batch, in each partition', async () => {
    await fill('project-4.2.0', 250, noon);
    const file = await jobFile('goes-on', 'project-4.2.0', 'SELECT id FROM users', 'id');
    const dry = await weir(checkpoint('spark-4.2.0/project'), '--job', file, '--dry-run', '-o', 'json');
    assert.equal(dry.code, 0, dry.output);
    const { outcome, partitions } = JSON.parse(
      dry.output.slice(dry.output.indexOf('{"'), dry.output.lastIndexOf('}') + 1),
    ) as {
      readonly outcome: { readonly kind: string };
      readonly partitions: readonly object[];
    };
    assert.equal(outcome.kind, 'valid');
    const place = { source: 'users', topic: 'project-4.2.0', earliest: 0, isNew: false };
    assert.deepEqual(partitions, [
      { ...place, partition: 0, offset: 13, end: 200 },
      { ...place, partition: 1, offset: 12, end: 50 },
    ]);
    await assert.rejects(bed.cluster.job('goes-on'), /404/);

    const { code, output } = await weir(checkpoint('spark-4.2.0/project'), '--job', file);
    assert.equal(code, 0, output);
    await bed.taken('goes-on', 225);
    await until(
      'they are in the table',
      30_000,
      async () => (await rows('SELECT id FROM imported.goes_on')).length >= 225,
    );
    const ids = (await rows('SELECT id FROM imported.goes_on'))
      .map(([id]) => Number(String(id).slice(1)))
      .sort((a, b) => a - b);
    const expected = Array.from({ length: 250 }, (_, index) => index).filter((id) =>
      id >= 200 ? id >= 212 : id >= 13,
    );
    assert.deepEqual(ids, expected);
  });

  test('a partition that the query did not know is read from its beginning, and a planned batch is told', async () => {
    await bed.createTopic('fails-3.5.7', 3);
    await bed.produce(
      'fails-3.5.7',
      3,
      Array.from({ length: 410 }, (_, index) => ({ id: `u${index}`, at: noon() })),
    );
    const file = await jobFile('new-partition', 'fails-3.5.7', 'SELECT id FROM users', 'id');
    const { code, output } = await weir(checkpoint('spark-3.5.7/fails'), '--job', file);
    assert.equal(code, 0, output);
    assert.match(output, /batch 0 is the last committed/);
    assert.match(output, /batch 1 was planned and not committed/);
    assert.match(output, /fails-3\.5\.7 +2 +0 \(new\)/);
    await bed.taken('new-partition', 200 - 5 + (200 - 4) + 10);
  });

  test('a stateful job is refused, and with --drop-state judges by the imported watermark', async () => {
    // Spark had come to 12:01:30. What comes is from 12:00:00 (late) in partition 0, and from 12:02:10 in partition 1.
    const at = (index: number): string => (index < 200 ? noon() : '2024-05-01T12:02:10Z');
    await fill('window-4.2.0', 230, at);
    const query = `"SELECT window.start AS minute, count(*) AS users FROM users GROUP BY window(at, '1 minute')"`;
    const more = ', watermark: { column: at, delay: 30s }';
    const file = await jobFile('windowed', 'window-4.2.0', query, 'minute', more);
    const refused = await weir(checkpoint('spark-4.2.0/window'), '--job', file);
    assert.equal(refused.code, 5, refused.output);
    assert.match(refused.output, /the state of another system cannot be read.*--drop-state/s);
    await assert.rejects(bed.cluster.job('windowed'), /404/);

    const { code, output } = await weir(checkpoint('spark-4.2.0/window'), '--job', file, '--drop-state');
    assert.equal(code, 0, output);
    assert.match(output, /watermark 2024-05-01T12:01:30\.000Z/);
    await bed.taken('windowed', 200 - 13 + (30 - 12));
    await until('rows are late', 30_000, async () => {
      const { epochs } = await bed.cluster.job('windowed');
      return Object.values(epochs?.late ?? {}).reduce((sum, count) => sum + count, 0) === 200 - 13;
    });
    assert.deepEqual(await rows('SELECT * FROM imported.windowed'), [], 'the minute of 12:00 was given by Spark');
    // The watermark goes on from there, and closes the minute that is open.
    await bed.produce('window-4.2.0', 2, [{ id: 'last', at: '2024-05-01T12:05:00Z' }]);
    await until('the minute is given', 30_000, async () => (await rows('SELECT * FROM imported.windowed')).length > 0);
    const [[minute, users] = []] = await rows('SELECT minute, users FROM imported.windowed');
    assert.deepEqual([new Date(String(minute)).toISOString(), Number(users)], ['2024-05-01T12:02:00.000Z', 18]);
  });

  test('offsets beyond the topic, topics that the job does not read and mistakes in the file change nothing', async () => {
    await bed.createTopic('union-4.2.0', 2);
    const file = await jobFile('refused', 'union-4.2.0', 'SELECT id FROM users', 'id');
    const beyond = await weir(checkpoint('spark-4.2.0/union'), '--job', file);
    assert.equal(beyond.code, 1, beyond.output);
    assert.match(beyond.output, /holds offsets 0 to 0, not 13/);
    await bed.produce(
      'union-4.2.0',
      2,
      Array.from({ length: 250 }, (_, index) => ({ id: `u${index}`, at: noon() })),
    );
    const unread = await weir(checkpoint('spark-4.2.0/union'), '--job', file);
    assert.equal(unread.code, 4, unread.output);
    assert.match(unread.output, /does not read partition 0 of union-4\.2\.0-b/);
    const wrong = await jobFile('refused', 'union-4.2.0', 'SELECT nothing FROM users', 'id');
    const invalid = await weir(checkpoint('spark-4.2.0/union'), '--job', wrong);
    assert.equal(invalid.code, 3, invalid.output);
    assert.match(invalid.output, /refused\.yaml:6:15 .*nothing/);
    await assert.rejects(bed.cluster.job('refused'), /404/);
  });
});
