import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import { isWeirError } from '../core/errors.ts';
import { loadJobFile } from '../core/job/file.ts';
import { planJob } from '../engine/plan/plan-job.ts';
import { loadModule } from '../worker/load-module.ts';
import { readJobFiles, renderJobProblems } from './job-files.ts';
import { evaluateJob } from './job-module.ts';

const folder = mkdtempSync(join(tmpdir(), 'weir-jobs-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, text: string): string {
  mkdirSync(join(folder, name, '..'), { recursive: true });
  writeFileSync(join(folder, name), text);
  return join(folder, name);
}

const SOURCES = `sources: { rows: { connector: 'kafka', topic: 'rows', schema: 'k STRING, n INT' } }`;
const SINKS = `sinks: [{ connector: 'console' }]`;
const KEYED = `keyedState(
    { key: ['k'], state: { value: 'n BIGINT' }, output: 'k STRING, n BIGINT' },
    { onRow({ k }, state, context) { context.emit({ k: k as string, n: step(state.get()?.n ?? 0n) }); } },
  )`;

function refusal(path: string, timeoutMs?: number): string {
  let message = '';
  assert.throws(
    () => evaluateJob(path, timeoutMs),
    (error: unknown) => {
      message = error instanceof Error ? error.message.replaceAll(`${folder}/`, '') : '';
      return isWeirError(error, 'JOB_INVALID');
    },
  );
  return message;
}

suite('TypeScript jobs', () => {
  test('without functions: a declarative job file, computed however one likes', () => {
    const path = file(
      'plain.ts',
      `import { basename } from 'node:path';
import { defineJob, from } from 'weir';
console.log('this is not the job');
const name: string = basename('/x/plain');
export default defineJob({ name, ${SOURCES}, query: from('rows').where('n > 1'), ${SINKS} });
`,
    );
    const { spec, problems } = loadJobFile(evaluateJob(path));
    assert.deepEqual(
      [spec?.name, spec?.query, spec?.module, problems],
      ['plain', 'SELECT *\nFROM rows\nWHERE n > 1', undefined, []],
    );
  });

  test('with functions: the sources of its own files go along, without types', async () => {
    file('lib/steps.ts', `import { one } from "./numbers.ts";\nexport const step = (n: bigint): bigint => n + one;\n`);
    file('lib/numbers.ts', `export const one: bigint = 1n;\n`);
    const path = file(
      'deep/keyed.ts',
      `import { defineJob, keyedState } from 'weir';
import type { Stats } from 'node:fs';
import { step } from "../lib/steps.ts";
export default defineJob({ name: 'keyed', ${SOURCES}, query: 'SELECT k FROM rows', then: ${KEYED}, ${SINKS} });
export type { Stats };
`,
    );
    const { spec } = loadJobFile(evaluateJob(path));
    assert.ok(spec?.module !== undefined);
    assert.deepEqual(
      spec.module.files.map((each) => each.path),
      ['deep/keyed.ts', 'lib/numbers.ts', 'lib/steps.ts'],
    );
    assert.equal(spec.module.entry, 'deep/keyed.ts');
    assert.equal(evaluateJob(path), evaluateJob(path));
    const functions = await loadModule(spec.module);
    const emitted: unknown[] = [];
    functions.onRow({ k: 'a' }, { get: () => ({ n: 4n }) }, { emit: (row: unknown) => emitted.push(row) } as never);
    assert.deepEqual(emitted, [{ k: 'a', n: 5n }]);
    assert.equal(planJob(spec, { tables: null }).problems.length, 0);
  });

  test('mistakes are told with file and line', () => {
    const head = `import { defineJob, keyedState } from 'weir';\n`;
    assert.match(
      refusal(file('thrown.ts', `${head}\n  throw new RangeError('too much');\n`)),
      /^thrown\.ts:3:9 RangeError: too much$/,
    );
    assert.match(
      refusal(file('syntax.ts', `${head}export default defineJob({\n  name 'x',\n});\n`)),
      /^syntax\.ts:3:8 /,
    );
    assert.match(
      refusal(file('names.ts', `${head}const none: string[] = [];\nexport const size = none[0].length;\n`)),
      /^names\.ts:3:29 TypeError: Cannot read properties of undefined/,
    );
    assert.match(refusal(file('nothing.ts', `${head}export const job = 1;\n`)), /^nothing\.ts exports no job/);
    assert.match(refusal(file('enums.ts', `${head}enum A { B }\nexport default A;\n`)), /^enums\.ts:2:1 /);
    assert.match(refusal(file('lost.ts', `import { x } from "./not-there.ts";\n`)), /^lost\.ts.* .*not-there/);
    assert.match(
      refusal(
        file('helper.ts', `${head}import './lib/broken.ts';\n`) &&
          (file('lib/broken.ts', '\nnull.x;\n'), join(folder, 'helper.ts')),
      ),
      /^lib\/broken\.ts:2/,
    );
    const foreign = `${head}import { join } from 'node:path';\nconst step = (n: bigint) => BigInt(join('1', '2').length) + n;\nexport default defineJob({ name: 'a', ${SOURCES}, query: 'SELECT k FROM rows', then: ${KEYED}, ${SINKS} });\n`;
    assert.match(refusal(file('foreign.ts', foreign)), /^foreign\.ts:2 imports 'node:path'/);
  });

  test('a file that does not end, or ends the process, is refused', () => {
    assert.match(refusal(file('loop.ts', 'for (;;);'), 1500), /loop\.ts is not evaluated after 1\.5 s/);
    assert.match(refusal(file('exit.ts', 'process.exit(7);')), /exit\.ts ended before it gave a job \(exit code 7\)/);
  });

  test('problems found later stand at their places in the source', () => {
    const path = file(
      'places.ts',
      `import { defineJob } from 'weir';
export default defineJob({
  name: 'Places',
  sources: {
    rows: { connector: 'kafka', topic: 'rows', schema: 'k STRING', tipic: 'x' },
  },
  query: \`
    SELECT k, missing
    FROM rows\`,
  ${SINKS},
});
`,
    );
    const [read] = readJobFiles([path]);
    assert.ok(read !== undefined);
    const first = loadJobFile(read.text);
    const shown = renderJobProblems(read, first.problems).replaceAll(`${folder}/`, '');
    assert.match(shown, /^places\.ts:3:3 /m);
    assert.match(
      shown,
      /^places\.ts:5:68 sources\.rows has no option tipic\n {2}5 \|.*\n {4}\| +\^{5}\n {2}hint: did you mean topic\?/m,
    );
    const mended = { ...read, text: read.text.replace('Places', 'places').replace(/,\s*"tipic": "x"/, '') };
    const { spec } = loadJobFile(mended.text);
    assert.ok(spec !== null);
    const { problems } = planJob(spec, { tables: null });
    assert.match(
      renderJobProblems(mended, problems).replaceAll(`${folder}/`, ''),
      /^places\.ts:8:15 .*missing.*\n.*\n {4}\| {15}\^{7}/,
    );
  });

  test('the examples of docs/sdk.md are jobs without mistakes', () => {
    const page = readFileSync(new URL('../docs/sdk.md', import.meta.url), 'utf8');
    const examples = [...page.matchAll(/^```ts\n([^]*?)^```$/gm)].map(([, text = '']) => text);
    assert.equal(examples.length, 3);
    for (const [index, text] of examples.entries()) {
      const { spec, problems } = loadJobFile(evaluateJob(file(`example${index}.ts`, text)));
      assert.deepEqual(problems, []);
      assert.ok(spec !== null);
      assert.deepEqual(planJob(spec, { tables: null }).problems, []);
    }
  });

  test('of a folder those files that define a job', () => {
    const own = join(folder, 'folder');
    file('folder/a.yaml', 'kind: Job');
    file('folder/b.ts', `import { defineJob } from 'weir';\nexport default defineJob({ name: 'b' } as never);\n`);
    file('folder/c.ts', 'export const helper = 1;\n');
    file('folder/b.test.ts', 'export default defineJob({});\n');
    assert.deepEqual(
      readJobFiles([own]).map(({ path, source }) => [path, source === null]),
      [
        [join(own, 'a.yaml'), true],
        [join(own, 'b.ts'), false],
      ],
    );
  });
});
