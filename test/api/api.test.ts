/**
 * The REST interface as strangers use it: Schemathesis makes requests, valid and not, from the OpenAPI document of a
 * running master, and compares what comes back with it. `npm run test:api`; needs Python, see test/api/schemathesis.ts.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Birds, TOKEN } from '../ops/birds.ts';
import { schemathesis, test as check } from './schemathesis.ts';

/** A stream that does not end. */
const endless = ['streamEvents'];
/** What would take the jobs away from the requests that come after. */
const destructive = ['removeJob', 'applyJob'];

/** The same requests on every run. */
const SEED = 20_240;
const EXAMPLES = 12;

let program: string;
let birds: Birds;
let directory: string;

before(async () => {
  program = await schemathesis();
  directory = await mkdtemp(join(tmpdir(), 'weir-api-'));
  birds = await Birds.create();
  await birds.start();
  await birds.startWorker();
});

after(async () => {
  await birds?.close();
  if (directory !== undefined) await rm(directory, { recursive: true, force: true });
});

/** `parameters`: values that are not made up. */
async function run(parameters: Readonly<Record<string, string>>, without: readonly string[]): Promise<void> {
  const settings = join(directory, `settings-${Object.keys(parameters).length}.toml`);
  const lines = Object.entries(parameters).map(([name, value]) => `"${name}" = ${JSON.stringify(value)}`);
  await writeFile(settings, `[parameters]\n${lines.join('\n')}\n`);
  const { code, output } = await check(program, settings, `${birds.cluster.address}/v1/openapi.json`, [
    '--url',
    birds.cluster.address,
    '--header',
    `Authorization: Bearer ${TOKEN}`,
    '--checks',
    'all',
    // What is there and what may be done to it differ from job to job: 404 and 409 are right answers to valid requests.
    '--exclude-checks',
    'positive_data_acceptance',
    '--phases',
    'examples,coverage,fuzzing',
    '--max-examples',
    String(EXAMPLES),
    '--seed',
    String(SEED),
    // What is slow to make up is left out; the shapes of all requests come first.
    '--max-time',
    '300',
    '--request-timeout',
    '20',
    '--generation-database',
    'none',
    ...without.flatMap((id) => ['--exclude-operation-id', id]),
  ]);
  assert.equal(code, 0, output.slice(-20_000));
  assert.match(output, /No issues found|passed/);
}

test('requests that are made up are answered as the document says', async () => {
  await run({}, endless);
});

test('requests about jobs that are there are answered as the document says', async () => {
  await run({ 'path.name': 'sightings' }, [...endless, ...destructive]);
});

test('the master and its jobs outlive all that', async () => {
  const { row } = await birds.cluster.job('per-second');
  assert.notEqual(row.state, 'failed');
  assert.ok((await birds.cluster.workers()).some(({ state }) => state === 'alive'));
});
