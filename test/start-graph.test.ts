/**
 * What a process loads before it can take work: the files that its entry imports, and theirs, without what is imported
 * when first needed. Each module costs start-up time and memory in every process and thread, so what only some jobs
 * need has no place there.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { suite, test } from 'node:test';

const root = join(import.meta.dirname, '..');

interface StartGraph {
  /** Of this tree, relative to it. */
  readonly files: ReadonlySet<string>;
  /** By package: a file that imports it. Node's own modules by their names. */
  readonly packages: ReadonlyMap<string, string>;
}

/** Follows import and export statements; types are not loaded, and `import()` is not at once. */
function startGraph(entry: string): StartGraph {
  const files = new Set<string>();
  const packages = new Map<string, string>();
  const add = (path: string): void => {
    if (files.has(path)) return;
    files.add(path);
    for (const name of importsOf(readFileSync(join(root, path), 'utf8'))) {
      if (name.startsWith('.')) add(relative(root, join(root, dirname(path), name)));
      else packages.set(packageOf(name), path);
    }
  };
  add(entry);
  return { files, packages };
}

/** Module names in statements that are there at run time. */
function importsOf(text: string): string[] {
  const code = text.replaceAll(/^\s*(\/\/|\*|\/\*).*$/gm, '');
  const pattern = /^(?:import|export)\s+(?!type\b)(?:[^'";]*?\bfrom\s+)?'([^'\n]+)'/gm;
  return [...code.matchAll(pattern)].map((match) => match[1] ?? '');
}

function packageOf(name: string): string {
  if (name.startsWith('node:')) return name;
  return name
    .split('/')
    .slice(0, name.startsWith('@') ? 2 : 1)
    .join('/');
}

interface Entry {
  /** All that it may load. */
  readonly packages: readonly string[];
  /** Folders and files that wait until they are needed. */
  readonly later: readonly string[];
  readonly filesMax: number;
}

/** A new line here is a few milliseconds and a megabyte in every process: is it needed before the first job? */
const entries = new Map<string, Entry>([
  [
    'worker/main.ts',
    {
      packages: ['@grpc/grpc-js', 'pino', 'piscina', 'prom-client', 'protobufjs'],
      later: ['engine/sql/analyze', 'core/job/spec.ts', 'core/job/file.ts', 'connectors/kafka', 'connectors/cassandra'],
      filesMax: 354,
    },
  ],
  [
    'worker/thread.ts',
    {
      packages: ['piscina'],
      later: ['engine/sql/analyze', 'core/job/spec.ts', 'core/job/file.ts', 'connectors', 'worker/lane.ts'],
      filesMax: 258,
    },
  ],
  [
    'master/main.ts',
    {
      packages: ['@grpc/grpc-js', 'croner', 'fastify', 'pino', 'prom-client', 'protobufjs', 'yaml', 'zod'],
      later: ['worker', 'engine/epoch', 'connectors/kafka', 'connectors/cassandra'],
      filesMax: 343,
    },
  ],
  ['connectors/embedded/main.ts', { packages: [], later: ['engine', 'core/job', 'proto'], filesMax: 17 }],
  ['cli/main.ts', { packages: ['commander'], later: ['master', 'worker', 'engine', 'connectors'], filesMax: 20 }],
]);

const within = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

suite('what a start loads', () => {
  for (const [entry, { packages, later, filesMax }] of entries) {
    const graph = startGraph(entry);
    test(`${entry}: ${graph.files.size} files and no package but those it starts with`, () => {
      const foreign = [...graph.packages].filter(([name]) => !name.startsWith('node:'));
      assert.deepEqual(
        foreign.filter(([name]) => !packages.includes(name)).map(([name, by]) => `${name}, by ${by}`),
        [],
      );
      assert.deepEqual(
        packages.filter((name) => !graph.packages.has(name)),
        [],
        'the list names more than is loaded',
      );
      assert.deepEqual(
        [...graph.files].filter((path) => later.some((folder) => within(path, folder))),
        [],
      );
      assert.ok(graph.files.size <= filesMax, `${graph.files.size} files`);
    });

    test(`${entry}: node:http comes without fetch`, () => {
      assert.equal(graph.packages.get('node:http'), undefined, 'see connectors/system/node-http.ts');
    });
  }

  test('statements are told from types and from what is imported later', () => {
    const text = [
      "import type { A } from 'types';",
      "import { b } from 'named';",
      "import {\n  c,\n  d,\n} from 'lines';",
      "import 'effect';",
      "export { e } from 'passed';",
      "export type { F } from 'types';",
      "const g = await import('later');",
      " * import { h } from 'comment';",
    ].join('\n');
    assert.deepEqual(importsOf(text), ['named', 'lines', 'effect', 'passed']);
  });
});
