/** ops/notebook/results.ipynb, run from its first cell to its last over tables that jobs have written. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, suite, test } from 'node:test';
import { promisify } from 'node:util';
import { TOKEN, until } from '../support/cluster.ts';
import { testPython } from './python.ts';
import type { RandomUserApi } from './random-user-api.ts';
import { expectedPerson, startRandomUserApi } from './random-user-api.ts';
import { Testbed } from './testbed.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const folder = join(root, 'ops', 'notebook');
const PEOPLE = 30;

/** Runs a notebook and prints it with its outputs. */
const runner = `
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
print(nbformat.writes(notebook))
`;

interface Output {
  readonly output_type: string;
  readonly text?: string | readonly string[];
  readonly data?: Readonly<Record<string, unknown>>;
}

suite('the notebook', () => {
  let bed: Testbed;
  let api: RandomUserApi;
  let python: string;

  before(async () => {
    python = await testPython(readFileSync(join(folder, 'requirements.txt'), 'utf8').trim().split('\n'));
    bed = await Testbed.open();
    api = await startRandomUserApi(PEOPLE);
    await bed.cluster.startWorker();
  });
  after(async () => {
    await bed?.close();
    await api?.close();
  });

  const job = (name: string): string => readFileSync(join(root, 'jobs', `${name}.yaml`), 'utf8');
  const rows = async (table: string): Promise<number> =>
    Number((await bed.tables.query(`SELECT count(*) FROM ${table}`)).rows[0]?.[0]);

  test('draws prices by area and users by country', async () => {
    const areas = [
      ['Clifton', 250_000, 350_000, 900_000],
      ['Redland', 400_000, 500_000],
      ['Bedminster', 150_000],
    ] as const;
    const homes = areas.flatMap(([area, ...prices]) =>
      prices.map((price) => ({
        id: `${area}-${price}`,
        price: `£${price}`,
        address: `1 Mill Lane, ${area}, Bristol BS8 4QT`,
      })),
    );
    await bed.createTopic('properties', 1);
    await bed.produce('properties', 1, [
      ...homes,
      { id: 'poa', price: 'POA', address: '1 Mill Lane, Clifton, Bristol BS8 4QT' },
    ]);
    await bed.cluster.apply('properties', job('properties'));
    const people = job('random-users')
      .replace('https://randomuser.me', api.url)
      .replace(/^schedule:.*$/m, '');
    await bed.cluster.apply('random-users', people);
    await until(
      'the homes are there',
      300_000,
      async () => (await rows('property_streams.properties')) === homes.length + 1,
    );
    await until('the people are there', 300_000, async () => (await rows('people.random_users')) === PEOPLE);

    const { stdout } = await run(python, ['-c', runner, join(folder, 'results.ipynb')], {
      maxBuffer: 1 << 26,
      env: {
        ...process.env,
        WEIR_ADDRESS: bed.cluster.address,
        WEIR_TOKEN: TOKEN,
        WEIR_COMMAND: `${process.execPath} ${join(root, 'cli', 'main.ts')}`,
      },
    });
    const { cells } = JSON.parse(stdout) as { readonly cells: readonly { readonly outputs?: readonly Output[] }[] };
    const outputs = cells.flatMap((cell) => cell.outputs ?? []);
    assert.deepEqual(
      outputs.filter(({ output_type: type }) => type === 'error'),
      [],
    );
    const charts = outputs.filter(({ data }) => data?.['image/png'] !== undefined);
    assert.equal(charts.length, 2, 'two charts are drawn');
    const text = outputs.map(({ text: said = '' }) => (typeof said === 'string' ? said : said.join(''))).join('\n');
    const medians = [...text.matchAll(/^(\w+) +(\d+)\.0 +(\d)$/gm)].map(([, area, median, count]) => [
      area,
      median,
      count,
    ]);
    assert.deepEqual(medians, [
      ['Redland', '450000', '2'],
      ['Clifton', '350000', '3'],
      ['Bedminster', '150000', '1'],
    ]);
    const expected = Map.groupBy(
      Array.from({ length: PEOPLE }, (_, number) => expectedPerson(number).country),
      (at) => at,
    );
    for (const [country, all] of expected) assert.match(text, new RegExp(`^${country} +${all.length}$`, 'm'));
  });
});
