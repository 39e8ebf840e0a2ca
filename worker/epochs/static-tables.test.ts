import assert from 'node:assert/strict';
import { test } from 'node:test';
import { staticBlob } from '../../core/epoch/static-blob.ts';
import { jobName } from '../../core/ids.ts';
import type { Run } from '../../core/ids.ts';
import type { BlobStore } from '../../core/ports.ts';
import type { EpochExecutor } from '../../engine/epoch/contract.ts';
import type { EpochsPlan } from '../../engine/plan/epoch-plan.ts';
import { StaticTables } from './static-tables.ts';

const JOB = jobName('names');
const RUN = 1 as Run;

test('an epoch waits for those before it, also when the table already stands at its version', async () => {
  const blobs = new Map(
    [2, 3].map((version) => [
      staticBlob(JOB, RUN, 'names', version),
      new TextEncoder().encode(JSON.stringify([[1, `v${version}`]])),
    ]),
  );
  let rows: unknown = null;
  const executor = {
    setStatic: (_: string, __: string, given: unknown) => {
      rows = given;
      return Promise.resolve();
    },
  } as unknown as EpochExecutor;
  const store = { get: (id: string) => Promise.resolve(blobs.get(id)) } as unknown as BlobStore;
  const plan = { statics: [{ name: 'names', rows: { kind: 'table' } }] } as unknown as EpochsPlan;
  const tables = new StaticTables(plan, executor, () => store, JOB, RUN);
  await tables.use({ names: 3 }, ['host'], () => Promise.resolve());

  // Both epochs are ordered again: the earlier one joins with the version before.
  const mapped = Promise.withResolvers<void>();
  const earlier = tables.use({ names: 2 }, ['host'], () => Promise.resolve());
  const later = tables.use({ names: 3 }, ['host'], () => mapped.promise);
  await earlier;
  assert.deepEqual(rows, [[1, 'v2']], 'the earlier one maps now');
  mapped.resolve();
  await later;
  assert.deepEqual(rows, [[1, 'v3']]);
});
