/**
 * `node scripts/bundle.ts`: the code of all processes as a few dozen files in dist/, with the packages that every start
 * needs. A process that reads six hundred modules one by one takes twice as long to start, and a third more memory.
 * `npm ci` runs this (`prepare`), and `npm pack`; the launcher `weir` uses dist/ while no source is newer. Without
 * esbuild (`npm ci --omit=dev`) nothing is built, and the sources run as they are.
 */
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import type { BuildOptions, Metafile, Plugin } from 'esbuild';

const root = join(import.meta.dirname, '..');
const folder = join(root, 'dist');

/** Files that are started, or imported by an address: each stands in dist/ where it stands in the tree. */
export const bundleEntries = [
  'cli/main.ts',
  'cli/job-module-child.ts',
  'cli/lab/thread.ts',
  'connectors/embedded/store-thread.ts',
  'jobs/producers/properties.ts',
  'jobs/producers/users.ts',
  'jobs/site/main.ts',
  'sdk/connector.ts',
  'sdk/index.ts',
  'sdk/testing.ts',
  'worker/thread.ts',
] as const;

/** Packages that stay in node_modules: loaded by some jobs only, or, as piscina, from files of their own. */
export const external: readonly string[] = [
  'cassandra-driver',
  'hyparquet',
  'hyparquet-writer',
  'kafkajs',
  'pg',
  'pg-copy-streams',
  'piscina',
  'playwright-core',
];

/** To a module, `import.meta` stays what it is in the tree: files beside it are found in dist/ as there. */
const placesInTree: Plugin = {
  name: 'places in the tree',
  setup: ({ onLoad }) => {
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      const place = relative(root, path).replace(/\.ts$/, '.js');
      if (!text.includes('import.meta.') || place.startsWith('node_modules/')) return undefined;
      const contents = text
        .replaceAll('import.meta.url', inDist('url', place))
        .replaceAll('import.meta.filename', inDist('filename', place))
        .replaceAll('import.meta.dirname', inDist('dirname', dirname(place)));
      return { contents, loader: 'ts' };
    });
  },
};

/**
 * Parts of fastify that nothing here uses: checkers and serializers by JSON Schema (see master/http/server.ts) and
 * requests without a socket. The text of code stays in memory as long as the process, whether it is run or not.
 */
const unused: Plugin = {
  name: 'unused parts of packages',
  setup: ({ onResolve, onLoad }) => {
    const filter = /^(?:@fastify\/(?:ajv-compiler|fast-json-stringify-compiler)|light-my-request)$/;
    onResolve({ filter }, ({ path }) => ({ path, namespace: 'unused' }));
    onLoad({ filter: /.*/, namespace: 'unused' }, ({ path }) => ({
      contents: `throw new Error('${path} is no part of dist/: see scripts/bundle.ts');`,
    }));
  },
};

function inDist(property: 'url' | 'filename' | 'dirname', place: string): string {
  const here = property === 'url' ? 'import.meta.url' : 'import.meta.filename';
  return `(${here}.slice(0, ${here}.lastIndexOf('/dist/') + 6) + ${JSON.stringify(place)})`;
}

const options = {
  absWorkingDir: root,
  entryPoints: [...bundleEntries],
  outdir: folder,
  outbase: root,
  chunkNames: 'chunks/[name]-[hash]',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  conditions: ['weir-source'],
  external: [...external],
  plugins: [placesInTree, unused],
  // A process keeps the text of its code in memory, twice as long where a comment has a letter that is not ASCII. Names
  // stay as they are, for stack traces; licenses are in LICENSES.md.
  minifyWhitespace: true,
  minifySyntax: true,
  lineLimit: 160,
  legalComments: 'none',
  // Packages that are not ES modules ask for Node's own by require().
  banner: {
    js: "import { createRequire as makeRequire } from 'node:module';\nconst require = makeRequire(import.meta.url);",
  },
  metafile: true,
  logLevel: 'warning',
} as const satisfies BuildOptions;

/** Builds into dist/. False when there is no esbuild. Throws: what esbuild throws for code that it cannot read. */
export async function bundle(): Promise<boolean> {
  const builder = await import('esbuild').catch(() => null);
  if (builder === null) return false;
  const startedAt = new Date();
  rmSync(join(folder, 'chunks'), { recursive: true, force: true });
  const { metafile } = await builder.build(options);
  cpSync(join(root, 'cli/connector-template'), join(folder, 'cli/connector-template'), { recursive: true });
  cpSync(join(root, 'ui/bundle'), join(folder, 'ui/bundle'), { recursive: true });
  for (const file of globSync('proto/**/*.proto', { cwd: root })) cpSync(join(root, file), join(folder, file));
  writeFileSync(join(folder, 'LICENSES.md'), licenses(metafile));
  // What is changed from here on is newer, even when esbuild has not read it yet.
  const stamp = join(folder, 'built');
  mkdirSync(folder, { recursive: true });
  writeFileSync(stamp, '');
  utimesSync(stamp, startedAt, startedAt);
  return true;
}

/** Of the packages that are part of what was built. */
function licenses({ inputs }: Metafile): string {
  const packages = new Set(
    Object.keys(inputs).flatMap((path) => /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? []),
  );
  const texts = [...packages].toSorted().map((name) => {
    const [file] = globSync('{LICENSE,LICENCE,license}*', { cwd: join(root, 'node_modules', name) });
    const text = file === undefined ? '' : readFileSync(join(root, 'node_modules', name, file), 'utf8').trim();
    const { license } = JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')) as {
      readonly license?: string;
    };
    return `## ${name} (${license ?? 'see below'})\n\n${text}\n`;
  });
  return `# Packages that are part of these files\n\n${texts.join('\n')}`;
}

if (import.meta.main) {
  // Nothing depends on it: without dist/ the sources run.
  await bundle().catch((error: unknown) => process.stderr.write(`dist/ was not built: ${String(error)}\n`));
}
