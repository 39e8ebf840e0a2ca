/** What the tree promises and no compiler checks: layers, names, no dead or barrel files, links, no private addresses. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { suite, test } from 'node:test';
import type { LockFile } from '../scripts/lock-file.ts';
import { missingOptionals } from '../scripts/lock-file.ts';

const root = join(import.meta.dirname, '..');
const ignored = new Set(['node_modules', 'dist', '.git', '.weir', '.cache', 'coverage']);

function walk(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (ignored.has(entry.name)) return [];
    return entry.isDirectory() ? walk(path) : entry.isFile() ? [path] : [];
  });
}

const files = walk('');
const sources = files.filter((path) => /\.tsx?$/.test(path) && path.includes('/'));
const read = (path: string): string => readFileSync(join(root, path), 'utf8');

interface Layer {
  /** Folders or files that may be imported, beside the own one. */
  readonly imports: readonly string[];
  readonly packages: readonly string[];
}

const everything: Layer = { imports: [''], packages: ['*'] };

/** The longest matching folder decides. Tests beside the code (`x.test.ts`, `test-x.ts`) and `test/` may import everything. */
const layers = new Map<string, Layer>([
  ['core', { imports: [], packages: [] }],
  ['core/job', { imports: ['core'], packages: ['zod', 'yaml'] }],
  // Times of a cron expression, with the clock given.
  ['core/schedule', { imports: ['core'], packages: ['croner'] }],
  ['engine', { imports: ['core'], packages: [] }],
  // A parser, for texts of schemas: no record goes through it.
  ['engine/formats', { imports: ['core', 'engine'], packages: ['protobufjs'] }],
  // Bytes in, bytes out.
  ['engine/encode', { imports: ['core', 'engine'], packages: ['hyparquet-writer'] }],
  ['proto', { imports: ['core'], packages: ['@grpc/grpc-js', '@grpc/proto-loader', 'protobufjs'] }],
  ['connectors', { imports: ['core', 'proto'], packages: [] }],
  ['connectors/kafka', { imports: ['core', 'connectors/system'], packages: ['kafkajs'] }],
  ['connectors/cassandra', { imports: ['core', 'connectors/system'], packages: ['cassandra-driver'] }],
  [
    'connectors/embedded',
    { imports: ['core', 'proto', 'connectors/system'], packages: ['@grpc/grpc-js', '@grpc/proto-loader'] },
  ],
  ['connectors/browser', { imports: ['core', 'connectors/system'], packages: ['playwright-core'] }],
  ['connectors/postgres', { imports: ['core'], packages: ['pg', 'pg-copy-streams'] }],
  ['connectors/files', { imports: ['core'], packages: ['hyparquet', 'hyparquet-writer'] }],
  ['connectors/webhook', { imports: ['core'], packages: [] }],
  ['connectors/schema-registry', { imports: ['core', 'connectors/system'], packages: ['zod'] }],
  ['connectors/system', { imports: ['core'], packages: ['pino', 'prom-client'] }],
  ['sdk', { imports: ['core'], packages: ['zod'] }],
  ['jobs', { imports: ['sdk'], packages: ['*'] }],
  [
    'worker',
    { imports: ['core', 'engine', 'connectors', 'proto'], packages: ['@grpc/grpc-js', 'piscina', 'prom-client'] },
  ],
  [
    'master',
    {
      imports: ['core', 'engine/plan', 'engine/dead-letters.ts', 'connectors', 'proto', 'ui/bundle'],
      packages: ['@grpc/grpc-js', '@grpc/proto-loader', 'prom-client', 'fastify', 'zod'],
    },
  ],
  ['ui', { imports: ['core', 'engine/plan', 'master/views.ts'], packages: ['preact', 'uplot'] }],
  ['cli', { imports: [''], packages: ['commander', 'yaml'] }],
  ['bench', everything],
  ['ops', { imports: ['core'], packages: [] }],
  ['scripts', everything],
  ['test', everything],
]);

function layerOf(path: string): { readonly folder: string; readonly layer: Layer } {
  if (/\.(test|bench)\.ts$|\/test-[\w-]+\.ts$/.test(path)) return { folder: '', layer: everything };
  for (let folder = dirname(path); folder !== '.'; folder = dirname(folder)) {
    const layer = layers.get(folder);
    if (layer !== undefined) return { folder, layer };
  }
  throw new Error(`${path} is in no layer: give its folder a line in the table`);
}

/** Module names in import and export statements, static and dynamic, and in `new URL('…', import.meta.url)`. */
function importsOf(text: string): string[] {
  const code = text.replaceAll(/^\s*(\/\/|\*|\/\*).*$/gm, '');
  const pattern = /(?:\bfrom\s*|\bimport\s*\(\s*|^import\s+|new URL\(\s*)'([^'\n]+)'/gm;
  return [...code.matchAll(pattern)].map((match) => match[1] ?? '').filter((name) => /^[\w@.]/.test(name));
}

function resolveImport(from: string, name: string): string {
  return relative(root, join(root, dirname(from), name));
}

const within = (path: string, folder: string): boolean =>
  folder === '' || path === folder || path.startsWith(`${folder}/`);

/** What package.json exports. */
const packageEntries = new Set(['sdk/index.ts', 'sdk/connector.ts', 'sdk/testing.ts']);

suite('tidy', () => {
  test('imports go one way', () => {
    const wrong = sources.flatMap((path) => {
      const { folder, layer } = layerOf(path);
      return importsOf(read(path)).flatMap((name) => {
        if (name.startsWith('node:')) return [];
        if (!name.startsWith('.')) {
          const packageName = name
            .split('/')
            .slice(0, name.startsWith('@') ? 2 : 1)
            .join('/');
          return layer.packages.includes('*') || layer.packages.includes(packageName)
            ? []
            : [`${path} imports ${name}`];
        }
        const target = resolveImport(path, name);
        return [folder, ...layer.imports].some((allowed) => within(target, allowed))
          ? []
          : [`${path} imports ${target}`];
      });
    });
    assert.deepEqual(wrong, []);
  });

  test('imports name files that exist', () => {
    const wrong = sources.flatMap((path) =>
      importsOf(read(path))
        .filter((name) => name.startsWith('.') && !existsSync(join(root, resolveImport(path, name))))
        .map((name) => `${path} → ${name}`),
    );
    assert.deepEqual(wrong, []);
  });

  test('files are named in kebab-case', () => {
    const named = sources.map((path) => path.slice(path.lastIndexOf('/') + 1));
    assert.deepEqual(
      named.filter((name) => !/^[a-z0-9]+(-[a-z0-9]+)*(\.(it|e2e|test|bench|fixture|d))*\.tsx?$/.test(name)),
      [],
    );
  });

  test('there are no barrels and no grab-bags', () => {
    const barrels = sources.filter((path) => {
      const statements = read(path)
        .replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')
        .split(';')
        .map((text) => text.trim())
        .filter((text) => text !== '');
      return (
        statements.length > 0 &&
        statements.every((text) => /^export\b[\s\S]*\bfrom\b/.test(text)) &&
        !packageEntries.has(path)
      );
    });
    assert.deepEqual(barrels, []);
    assert.deepEqual(
      sources.filter((path) => /\/(utils?|helpers|misc|common)\.ts$/.test(path)),
      [],
    );
  });

  test('every file is used', () => {
    const entries = [
      /^cli\/main\.ts$/,
      /^sdk\/(index|connector|testing)\.ts$/,
      /^ui\/main\.tsx$/,
      /^scripts\//,
      /^bench\//,
      /^test\//,
      /^jobs\//,
      /\.test\.ts$/,
      /\.bench\.ts$/,
      /\.fixture\.ts$/,
      /\/test-[\w-]+\.ts$/,
    ];
    const used = new Set(
      sources
        .filter((path) => !path.endsWith('.test.ts'))
        .flatMap((path) => importsOf(read(path)).map((name) => resolveImport(path, name))),
    );
    assert.deepEqual(
      sources.filter((path) => !used.has(path) && !entries.some((entry) => entry.test(path))),
      [],
    );
  });

  test('links in the documents lead somewhere', () => {
    const broken = files
      .filter((path) => path.endsWith('.md'))
      .flatMap((path) => {
        const text = read(path).replaceAll(/```[\s\S]*?```|`[^`\n]*`/g, '');
        const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => (match[1] ?? '').split('#')[0] ?? '');
        return links
          .filter((link) => link !== '' && !/^[a-z]+:/.test(link) && !existsSync(join(root, dirname(path), link)))
          .map((link) => `${path} → ${link}`);
      });
    assert.deepEqual(broken, []);
  });

  test('every dependency has its reason', () => {
    const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string> | undefined>;
    const names = ['dependencies', 'devDependencies', 'optionalDependencies'].flatMap((kind) =>
      Object.keys(manifest[kind] ?? {}),
    );
    const listed = new Set([...read('docs/dependencies.md').matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1]));
    assert.deepEqual(
      {
        missing: names.filter((name) => !listed.has(name)),
        superfluous: [...listed].filter((name) => !names.includes(name ?? '')),
      },
      { missing: [], superfluous: [] },
    );
  });

  test('the lock file has the optional packages of every platform', () => {
    const missing = missingOptionals(JSON.parse(read('package-lock.json')) as LockFile);
    assert.deepEqual(
      missing.map(({ name, by }) => `${name}, which ${by} names`),
      [],
      'run: npm run lock',
    );
  });

  test('the tree names no package registry and no private address', () => {
    const text = files.filter(
      (path) => !/\.(png|ico|wasm|jar|lz4|snappy|zst|gz|bin)$/.test(path) && path !== 'test/tidy.test.ts',
    );
    const hosts =
      /https?:\/\/(?:[\w.-]*\b(?:registry|mirror|artifactory|nexus|proxy)\b[\w.-]*|10\.\d+\.\d+\.\d+|192\.168\.\d+\.\d+|172\.(?:1[6-9]|2\d|3[01])\.\d+\.\d+)/g;
    const found = text.flatMap((path) => [...read(path).matchAll(hosts)].map((match) => `${path}: ${match[0]}`));
    assert.deepEqual(found, []);
    assert.doesNotMatch(read('package-lock.json'), /"resolved":/, 'the lockfile must work with any registry');
  });

  test('texts hold no conflict marks', () => {
    const marked = files.filter((path) => /\.(ts|md|ya?ml|json|sh)$/.test(path) && /^(<{7} |>{7} )/m.test(read(path)));
    assert.deepEqual(marked, []);
  });
});
