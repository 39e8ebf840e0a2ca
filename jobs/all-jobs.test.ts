/**
 * Every file of this folder is a job, by the name of its file, that can be planned as it stands; those of packages/ where
 * the connectors of their packages are allowed.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { connectorFiles } from '../cli/commands/connector-template.ts';
import type { ConnectorManifest } from '../core/job/connector-manifest.ts';
import { parseManifest } from '../core/job/connector-manifest.ts';
import { loadJobFile } from '../core/job/file.ts';
import { planJob } from '../engine/plan/plan-job.ts';
import { docJob } from '../test/support/doc-jobs.ts';

/** Columns that a job takes from a registry when it is submitted: jobs/pipelines.test.ts has it with its schema. */
const ofRegistry = ['people-tables.yaml'];
/** Jobs that a page of docs/connectors shows whole, where it is run as a test. */
const shown = ['orders-with-customers', 'readings-with-devices', 'spending-by-country', 'packages/shout'];

const files = readdirSync(import.meta.dirname, { encoding: 'utf8', recursive: true }).filter(
  (name) => name.endsWith('.yaml') && !name.endsWith('.test.yaml') && !ofRegistry.includes(name),
);

/** As `weir init connector` describes them. */
const connectors = new Map(
  (
    [
      ['lines-in', 'source'],
      ['lines-out', 'sink'],
    ] as const
  ).map(([name, kind]): [string, ConnectorManifest] => {
    const text = connectorFiles(name, kind).get('weir-connector.json') ?? '';
    return [name, parseManifest(name, text)];
  }),
);

for (const file of files) {
  test(file, () => {
    const { spec, problems } = loadJobFile(readFileSync(new URL(file, import.meta.url), 'utf8'));
    assert.deepEqual(problems, []);
    assert.ok(spec);
    assert.equal(spec.name, basename(file, '.yaml'));
    assert.deepEqual(planJob(spec, { tables: null, connectors }).problems, []);
  });
}

test('pages show the files of this folder', () => {
  for (const path of shown) {
    const file = readFileSync(new URL(`${path}.yaml`, import.meta.url), 'utf8');
    const name = basename(path);
    assert.equal(docJob(name), file.replace(/^(#.*\n)*/, `# job: ${name}\n`));
  }
});
