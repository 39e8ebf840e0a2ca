/** Code of jobs in threads of its own: what it may take, and what becomes of the job when it takes more. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, suite, test } from 'node:test';
import { isWeirError } from '../core/errors.ts';
import type { ModuleSource } from '../core/job/user-functions.ts';
import type { EpochEnv, ReduceResult } from '../engine/epoch/contract.ts';
import { jobText, planOf, recordInput } from '../engine/epoch/test-run.ts';
import type { EpochsPlan } from '../engine/plan/epoch-plan.ts';
import { KEY_GROUPS } from '../engine/plan/epoch-plan.ts';
import { ThreadExecutor } from './threads.ts';

const executor = new ThreadExecutor({ threadCount: 1 });
after(async () => {
  await executor.close();
});

/** A job whose onRow has the body given. */
function planWith(body: string, deadline = '10s', more: readonly { path: string; source: string }[] = []): EpochsPlan {
  const source = `
import { defineJob, keyedState } from 'weir';
${more.length === 0 ? '' : `import * as other from "./${more[0]?.path}";`}
export default defineJob({ then: keyedState({ key: ['k'], state: { value: 'n BIGINT' } }, { onRow(row, state, context) {
${body}
} }) });`;
  const content = { entry: 'job.ts', files: [{ path: 'job.ts', source }, ...more] };
  const module: ModuleSource = { hash: createHash('sha256').update(JSON.stringify(content)).digest('hex'), ...content };
  const keyedState = {
    key: ['k'],
    state: { state: { value: 'n BIGINT' } },
    single: true,
    output: 'k STRING, n BIGINT',
    functions: ['onRow'],
    deadline,
  };
  return planOf(jobText('SELECT k FROM rows', { rows: 'k STRING' }, { keyedState, module }));
}

const COUNT = 'const n = (state.get()?.n ?? 0n) + 1n; state.set({ n }); context.emit({ k: row.k, n });';

async function runEpoch(
  on: ThreadExecutor,
  key: string,
  epoch: number,
  keys: readonly string[],
): Promise<ReduceResult> {
  const env: EpochEnv = {
    run: 1,
    epoch,
    epochTsUs: 1_700_000_000_000_000 + epoch * 1024,
    lateUs: -Infinity,
    evictUs: -Infinity,
    writeTimeUs: 0,
  };
  const routing = { destinationOf: new Uint8Array(KEY_GROUPS), destinationCount: 1 };
  const rows = keys.map((k) => ({ k }));
  const input = recordInput(rows, 0);
  const base = { env, routing, logPartitions: [] };
  const { frames } = await on.map(key, {
    ...base,
    stage: 0,
    partition: 0,
    ...input,
    fromOffset: 0,
    toOffset: rows.length,
  });
  const inputs = frames.map(({ port, bytes }) => ({ port, bytes }));
  return await on.reduce(key, 0, { ...base, stage: 1, inputs });
}

function linesOf({ sinks }: ReduceResult): string[] {
  return sinks.flatMap((sink) => (sink.kind === 'console' ? sink.text.trim().split('\n') : []));
}

suite('code of jobs in threads', () => {
  test('counts in its thread, and its state moves to another host', async () => {
    const plan = planWith(COUNT);
    await executor.openEpochs('a', plan);
    assert.deepEqual(linesOf(await runEpoch(executor, 'a', 0, ['x', 'x'])), ['{"k":"x","n":1}', '{"k":"x","n":2}']);
    const states = await executor.takeChanged('a', 0, true);
    await executor.openEpochs('copy', plan);
    await executor.restore('copy', 0, states);
    await executor.closeEpochs('a');
    assert.deepEqual(linesOf(await runEpoch(executor, 'copy', 1, ['x'])), ['{"k":"x","n":3}']);
    await executor.closeEpochs('copy');
  });

  test('without threads it runs inline', async () => {
    const inline = new ThreadExecutor({ threadCount: 0 });
    await inline.openEpochs('a', planWith(COUNT));
    assert.deepEqual(linesOf(await runEpoch(inline, 'a', 0, ['x'])), ['{"k":"x","n":1}']);
    await inline.close();
  });

  test('a loop ends with its deadline; other jobs and the job opened anew go on', async () => {
    const other = planWith(COUNT);
    await executor.openEpochs('other', other);
    const plan = planWith(`if (row.k === 'loop') for (;;); ${COUNT}`, '500ms');
    await executor.openEpochs('looping', plan);
    await executor.openEpochs('looping/2', plan);
    assert.equal((await runEpoch(executor, 'looping', 0, ['x'])).rowsOut, 1);
    const isTimeout = (error: unknown): boolean => isWeirError(error, 'USER_CODE_TIMEOUT');
    await assert.rejects(runEpoch(executor, 'looping', 1, ['loop']), isTimeout);
    // Its state is gone with the thread, that of the job's other hosts too.
    await assert.rejects(executor.takeChanged('looping', 0, true), isTimeout);
    await assert.rejects(runEpoch(executor, 'looping/2', 0, ['x']), isTimeout);
    assert.equal((await runEpoch(executor, 'other', 0, ['x'])).rowsOut, 1);
    await executor.closeEpochs('looping');
    await executor.openEpochs('looping', plan);
    assert.deepEqual(linesOf(await runEpoch(executor, 'looping', 0, ['x'])), ['{"k":"x","n":1}']);
    for (const key of ['looping', 'looping/2', 'other']) await executor.closeEpochs(key);
  });

  test('code that ends its thread fails its job', async () => {
    await executor.openEpochs('exit', planWith('process.exit(3);'));
    await assert.rejects(runEpoch(executor, 'exit', 0, ['x']), (error: unknown) =>
      isWeirError(error, 'USER_CODE_FAILED'),
    );
    await executor.closeEpochs('exit');
  });

  test('what it throws becomes dead letters', async () => {
    await executor.openEpochs('throws', planWith(`if (row.k === 'bad') throw new Error('no');\n${COUNT}`));
    const result = await runEpoch(executor, 'throws', 0, ['x', 'bad', 'x']);
    assert.deepEqual(linesOf(result), ['{"k":"x","n":1}', '{"k":"x","n":2}']);
    assert.equal(result.deadLetters.rowCount, 1);
    assert.ok(Buffer.from(result.deadLetters.bytes).includes('onRow at job.ts:5'));
    await executor.closeEpochs('throws');
  });

  test('it imports weir and its own files, nothing else', async () => {
    const other = [{ path: 'lib/other.ts', source: "import './deep.ts';\nexport const by = 2n;" }];
    const deep = [{ path: 'lib/deep.ts', source: 'export {};' }];
    const body = 'context.emit({ k: row.k, n: other.by });';
    const both = planWith(body, '10s', [...other, ...deep]);
    await executor.openEpochs('imports', both);
    assert.deepEqual(linesOf(await runEpoch(executor, 'imports', 0, ['x'])), ['{"k":"x","n":2}']);
    await executor.closeEpochs('imports');
    const refused = planWith(body, '10s', [{ path: 'fs.ts', source: "import 'node:fs';" }]);
    await assert.rejects(executor.openEpochs('refused', refused), (error: unknown) =>
      isWeirError(error, 'USER_CODE_FAILED'),
    );
    // The key is free again.
    await executor.openEpochs('refused', planWith(COUNT));
    await executor.closeEpochs('refused');
  });
});
