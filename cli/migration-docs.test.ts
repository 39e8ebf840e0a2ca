/** docs/migration.md says what the code says. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { loadJobFile } from '../core/job/file.ts';
import { sparkOptions } from '../core/job/spark-options.ts';
import { metrics } from '../core/metrics/table.ts';
import { planJob } from '../engine/plan/plan-job.ts';

const root = join(import.meta.dirname, '..');
const page = readFileSync(join(root, 'docs', 'migration.md'), 'utf8');
const blocks = (language: string): string[] =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(([, text = '']) => text);

/** StructField("id", StringType(), False) as `id STRING NOT NULL`, at any depth. */
function columnsOfPython(text: string): string[] {
  const types = new Map([
    ['StringType()', 'STRING'],
    ['IntegerType()', 'INT'],
    ['TimestampType()', 'TIMESTAMP'],
    ['ArrayType(StringType())', 'ARRAY<STRING>'],
    ['StructType([', 'STRUCT'],
  ]);
  return [...text.matchAll(/StructField\("(\w+)", ((?:ArrayType\(\w+\(\)\)|\w+\(\)|StructType\(\[))(, False)?/g)].map(
    ([, name, type = '', required]) => `${name} ${types.get(type)}${required === undefined ? '' : ' NOT NULL'}`,
  );
}

describe('docs/migration.md', () => {
  test('its tables of options are those that mistakes are explained by', () => {
    for (const { name, here, note } of sparkOptions) {
      const cell = here === '' ? 'nothing' : `\`${here}\``;
      assert.ok(page.includes(`| \`${name}\` | ${cell} | ${note} |`), `| \`${name}\` | ${cell} | ${note} |`);
    }
  });

  for (const [index, file] of ['jobs/created-users.yaml', 'jobs/properties.yaml'].entries()) {
    test(`${file} stands there as it is, beside PySpark with the same columns`, () => {
      const text = readFileSync(join(root, file), 'utf8');
      assert.equal(blocks('yaml')[index], text);
      const { spec, problems } = loadJobFile(text);
      assert.ok(spec !== null, JSON.stringify(problems));
      assert.deepEqual(planJob(spec, { tables: null }).problems, []);
      const [source] = Object.values(spec.sources);
      const flat = (source?.schema ?? '')
        .replaceAll(/\s+/g, ' ')
        .trim()
        .replace(/STRUCT<(.*)>/, 'STRUCT, $1');
      const columns = flat.split(/, (?![^<]*>)/).map((column) => column.replace(':', ''));
      assert.deepEqual(columnsOfPython(blocks('python')[index] ?? ''), columns);
    });
  }

  for (const text of blocks('yaml'))
    test(`its job ${/^name: (.*)$/m.exec(text)?.[1]} has no mistakes`, () => {
      const { spec, problems } = loadJobFile(text);
      assert.ok(spec !== null, JSON.stringify(problems));
      const { plan, problems: ofPlan } = planJob(spec, { tables: null });
      assert.deepEqual([ofPlan, plan?.warnings], [[], []]);
    });

  test('the mistake it shows is what weir lint says', () => {
    const [shown = ''] = [...page.matchAll(/```\njob.yaml:8:5 ([^]*?)```/g)].map(([, text = '']) => text);
    const { problems } = loadJobFile(
      `apiVersion: weir/v1\nkind: Job\nname: u\nsources:\n  users:\n    connector: kafka\n    topic: t\n    subscribe: users_created\nquery: SELECT 1\nsinks: [{ connector: console }]\n`,
    );
    assert.deepEqual(
      problems.map(({ line, column }) => [line, column]),
      [[8, 5]],
    );
    assert.ok(shown.startsWith(`${problems[0]?.message}\n`) && shown.includes(`hint: ${problems[0]?.hint}\n`), shown);
  });

  test('metrics and pages that it names are there', () => {
    for (const [, name = ''] of page.matchAll(/`(?:rate\()?(weir_[a-z_]+)/g))
      assert.ok(Object.hasOwn(metrics, name), name);
    for (const [, target = '', anchor] of page.matchAll(/\]\(([\w./-]*)(?:#([\w-]+))?\)/g)) {
      const path = target === '' ? join(root, 'docs', 'migration.md') : join(root, 'docs', target);
      assert.ok(existsSync(path), target);
      if (anchor === undefined) continue;
      const heads = [...readFileSync(path, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, head = '']) =>
        head
          .toLowerCase()
          .replaceAll(/[^a-z0-9 -]/g, '')
          .replaceAll(' ', '-'),
      );
      assert.ok(heads.includes(anchor), `${target}#${anchor}`);
    }
  });
});
