/**
 * `node scripts/build-ui.ts`: the web page as three files in ui/bundle/. `--check` builds into memory and says whether
 * what is kept there is the same, `--watch` builds again at every change.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { BuildOptions } from 'esbuild';
import { build, context } from 'esbuild';

const root = join(import.meta.dirname, '..');
const folder = join(root, 'ui', 'bundle');

/** Bytes that the page may have in all, compressed. */
export const UI_BYTES_MAX = 80 * 1024;

const options: BuildOptions = {
  absWorkingDir: root,
  entryPoints: [
    { in: 'ui/main.tsx', out: 'app' },
    { in: 'ui/app.css', out: 'app' },
  ],
  outdir: folder,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  charset: 'utf8',
  logLevel: 'warning',
};

/** The files of ui/bundle/ as they should be. */
export async function buildUi(): Promise<Map<string, Buffer>> {
  const { outputFiles } = await build({ ...options, write: false });
  const files = new Map(
    outputFiles.map(({ path, contents }) => [path.slice(folder.length + 1), Buffer.from(contents)]),
  );
  for (const name of ['index.html', 'icon.svg']) files.set(name, readFileSync(join(root, 'ui', name)));
  return files;
}

export function zippedBytes(files: ReadonlyMap<string, Buffer>): number {
  return [...files.values()].reduce((sum, body) => sum + gzipSync(body, { level: 9 }).length, 0);
}

/** Names of the files in ui/bundle/ that are not what the sources give. */
export function staleFiles(files: ReadonlyMap<string, Buffer>): string[] {
  return [...files].filter(([name, body]) => !isSame(name, body)).map(([name]) => name);
}

function isSame(name: string, body: Buffer): boolean {
  try {
    return readFileSync(join(folder, name)).equals(body);
  } catch {
    return false;
  }
}

if (import.meta.main) {
  const files = await buildUi();
  if (process.argv.includes('--check')) {
    const stale = staleFiles(files);
    if (stale.length > 0) {
      process.stderr.write(`ui/bundle is not what ui/ gives (${stale.join(', ')}); run: node scripts/build-ui.ts\n`);
      process.exitCode = 1;
    }
  } else {
    mkdirSync(folder, { recursive: true });
    for (const [name, body] of files) writeFileSync(join(folder, name), body);
    process.stdout.write(`ui/bundle: ${(zippedBytes(files) / 1024).toFixed(1)} KB compressed\n`);
    if (process.argv.includes('--watch')) await (await context(options)).watch();
  }
}
