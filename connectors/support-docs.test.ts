/** docs/connectors/support.md claims nothing that is not there: every cell names its test, and everything it names exists. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, test } from 'node:test';
import { loadJobFile } from '../core/job/file.ts';
import { sinkSchemas } from '../core/job/sink-spec.ts';
import { sourceConnectors } from '../core/job/source-spec.ts';
import { metrics } from '../core/metrics/table.ts';

const root = join(import.meta.dirname, '..');
const page = join(root, 'docs', 'connectors', 'support.md');
/** In place of a proof: the system does not pose the question. */
const NOT_POSED = 'n/a';
/** What every system has, whatever it is. */
const posedByAll = new Set(['job', 'page', 'README', 'bad data', 'metrics']);
const aspects = ['job', 'page', 'README', 'down', 'slow', 'auth', 'bad data', 'metrics'];
/** No systems: sinks for trying out, and functions of the job itself. */
const noSystems = new Set(['console', 'blackhole', 'forEachBatch']);

interface Row {
  readonly aspect: string;
  readonly what: string;
  readonly proof: string;
}

interface Section {
  readonly title: string;
  readonly connector: string;
  readonly rows: readonly Row[];
}

/** Cells of the lines of a table, without its head. */
function tableIn(text: string): string[][] {
  const lines = text.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) =>
    line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim()),
  );
}

const [overview = '', ...parts] = readFileSync(page, 'utf8').split(/^## /m);
const sections = parts.map((part): Section => {
  const [title = ''] = part.split('\n');
  const [, connector = ''] = /<!-- connector: (\w+) -->/.exec(part) ?? [];
  const rows = tableIn(part).map(([aspect = '', what = '', proof = '']) => ({ aspect, what, proof }));
  return { title, connector, rows };
});

/** What a proof names: a file, and a test in it. */
function named(proof: string): { readonly file: string; readonly name: string }[] {
  const found = [...proof.matchAll(/`([^`]+)`(?:: (.*?))?(?=; `|$)/g)];
  return found.map(([, file = '', name = '']) => ({ file, name }));
}

function textOf(file: string): string {
  assert.ok(existsSync(join(root, file)), `${file} is not there`);
  return readFileSync(join(root, file), 'utf8');
}

/** The first two cells of README's rows, as plain text. */
const readmeRows = readFileSync(join(root, 'README.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .map((line) => {
    const cells = line
      .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replaceAll('`', '')
      .split('|');
    return cells
      .slice(1, 3)
      .map((cell) => cell.trim())
      .join(', ');
  });

test('every connector has its section, and every section is one of them', () => {
  const sinks = sinkSchemas.map(({ shape }) => String(shape.connector.value));
  const all = new Set([...sourceConnectors, ...sinks].filter((connector) => !noSystems.has(connector)));
  assert.deepEqual(new Set(sections.map(({ connector }) => connector)), all);
});

test('the table at the top says what the sections say', () => {
  const expected = sections.map(({ title, rows }) => [
    title,
    ...rows.map(({ proof }) => (proof === NOT_POSED ? NOT_POSED : '✓')),
  ]);
  assert.deepEqual(tableIn(overview), expected);
});

for (const { title, connector, rows } of sections) {
  describe(title, () => {
    test('has a row for everything; what is not asked of it says why', () => {
      assert.deepEqual(
        rows.map(({ aspect }) => aspect),
        aspects,
      );
      for (const { aspect, what, proof } of rows) {
        assert.notEqual(proof, '', `${aspect} names nothing`);
        if (proof !== NOT_POSED) continue;
        assert.ok(!posedByAll.has(aspect), `${aspect} is asked of every system`);
        assert.ok(what.length >= 20, `${aspect} does not say why it is not asked`);
      }
    });

    test('names tests that are there', () => {
      for (const { aspect, proof } of rows.filter(({ proof: each }) => each !== NOT_POSED)) {
        const proofs = named(proof);
        assert.ok(proofs.length > 0, `${aspect}: ${proof}`);
        for (const { file, name } of proofs) {
          const text = textOf(file);
          if (file.endsWith('.test.ts')) {
            assert.notEqual(name, '', `${aspect} names no test of ${file}`);
            // A name may follow on what a loop gives: `${policy}: rows wait`.
            const isThere = ["'", '"', '`', '}: '].some((before) => text.includes(before + name));
            assert.ok(isThere, `${file} has no test "${name}"`);
          } else if (aspect === 'README') {
            assert.ok(
              readmeRows.some((row) => row.startsWith(name)),
              `README has no row ${name}`,
            );
          } else if (aspect === 'job') {
            const { spec, problems } = loadJobFile(text);
            assert.ok(spec !== null, JSON.stringify(problems));
            // As it is written out: connectors of packages have a short form.
            const used = JSON.stringify(spec).includes(`"connector":"${connector}"`);
            assert.ok(used, `${file} has no connector ${connector}`);
          }
        }
      }
    });

    test('names a page, and metrics that are counted', () => {
      const [, link = ''] = /\]\(([^)]+)\)/.exec(rows.find(({ aspect }) => aspect === 'page')?.what ?? '') ?? [];
      assert.ok(existsSync(join(dirname(page), link)), `there is no page ${link}`);
      const told = rows.find(({ aspect }) => aspect === 'metrics')?.what ?? '';
      const names = [...told.matchAll(/`(\w+)`/g)].map(([, name = '']) => name);
      assert.ok(names.length > 0);
      for (const name of names) assert.ok(Object.hasOwn(metrics, name), `there is no metric ${name}`);
    });
  });
}
