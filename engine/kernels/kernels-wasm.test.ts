import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { compileKernels, kernelsModule } from '../../scripts/gen-kernels.ts';

test('the embedded kernels are what their sources give', async () => {
  const committed = readFileSync(new URL('./kernels-wasm.ts', import.meta.url), 'utf8');
  assert.ok(kernelsModule(await compileKernels()) === committed, 'run: npm run gen:kernels');
});
