/**
 * The REST interface as strangers use it: Schemathesis makes requests, valid and not, from the OpenAPI document of a
 * running master, and compares what comes back with it. `npm run test:api`; needs Python, see test/api/schemathesis.ts.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Birds, TOKEN } from '../ops/birds.ts';
import type { Process } from '../support/cluster.ts';
import { until } from '../support/cluster.ts';
import { schemathesis, test as check } from './schemathesis.ts';

/** What would take the jobs away from the requests that come after; the first run has them. */
const destructive = ['removeJob', 'applyJob', 'patchJob'];

/** Which answers are right beside those that every interface may give, each with its reason. */
const rules = join(import.meta.dirname, 'schemathesis.toml');

let program: string;
let birds: Birds;
let worker: Process;
let directory: string;

before(async () => {
  program = await schemathesis();
  directory = await mkdtemp(join(tmpdir(), 'weir-api-'));
  birds = await Birds.create();
  await birds.start();
  worker = await birds.startWorker();
});

after(async () => {
  await birds?.close();
  if (directory !== undefined) await rm(directory, { recursive: true, force: true });
});

/** What it printed, without the middle of long lines: a request that was too large stands there in full. */
function readable(output: string): string {
  const lines = output
    .split('\n')
    .map((line) => (line.length > 400 ? `${line.slice(0, 300)} … ${line.slice(-80)}` : line));
  return lines.join('\n').slice(-40_000);
}

/** `parameters`: values that are not made up. */
async function run(parameters: Readonly<Record<string, string>>, without: readonly string[]): Promise<void> {
  const settings = join(directory, `settings-${Object.keys(parameters).length}.toml`);
  const lines = Object.entries(parameters).map(([name, value]) => `"${name}" = ${JSON.stringify(value)}`);
  // Tables come after the keys of the document, and the file begins with those.
  await writeFile(settings, `${await readFile(rules, 'utf8')}\n[parameters]\n${lines.join('\n')}\n`);
  const { code, output } = await check(program, settings, `${birds.cluster.address}/v1/openapi.json`, [
    '--url',
    birds.cluster.address,
    '--header',
    `Authorization: Bearer ${TOKEN}`,
    '--phases',
    'examples,coverage,fuzzing',
    // What is slow to make up is left out; the shapes of all requests come first.
    '--max-time',
    '300',
    ...without.flatMap((id) => ['--exclude-operation-id', id]),
  ]);
  assert.equal(code, 0, readable(output));
  assert.match(output, /No issues found|passed/);
}

test('requests that are made up are answered as the document says', async () => {
  await run({}, []);
});

test('requests about jobs that are there are answered as the document says', async () => {
  await run({ 'path.name': 'sightings' }, destructive);
});

test('the master, its worker and its jobs outlive all that', async () => {
  const { row } = await birds.cluster.job('per-second');
  assert.notEqual(row.state, 'failed');
  if (!worker.alive) assert.fail(`the worker is gone: ${(await worker.log()).slice(-5000)}`);
  await until('the worker is heard', 120_000, async () => {
    const states = (await birds.cluster.workers()).map(({ state, heartbeatAgeMs }) => `${state} ${heartbeatAgeMs} ms`);
    if (states.some((state) => state.startsWith('alive'))) return true;
    throw new Error(states.join(', ') || 'no worker');
  });
});
