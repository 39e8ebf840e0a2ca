/**
 * `node scripts/image-packages.ts FOLDER`: copies the packages that dist/ leaves in node_modules, and what these need, into
 * FOLDER, each where it was in the tree. All others are part of dist/ and have no place in an image.
 */
import { cpSync, existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { external } from './bundle.ts';

/** What a package says it needs. */
interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/**
 * Folders below `root`, relative to its node_modules: those of `names` and of all that they need, found as Node finds them.
 *
 * Throws: Error when one is not installed and not optional (packages of other platforms are not installed).
 */
export function packagesOf(root: string, names: readonly string[]): readonly string[] {
  const found = new Set<string>();
  const waiting = names.map((name) => ({ name, from: root, optional: false }));
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const folder = findPackage(next.name, next.from, root);
    if (folder === null && next.optional) continue;
    if (folder === null) throw new Error(`${next.name}, which ${next.from} needs, is not installed; run npm ci`);
    const place = relative(join(root, 'node_modules'), folder);
    if (found.has(place)) continue;
    found.add(place);
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
    const optional = new Set(Object.keys(manifest.optionalDependencies ?? {}));
    for (const name of new Set([...Object.keys(manifest.dependencies ?? {}), ...optional]))
      waiting.push({ name, from: folder, optional: optional.has(name) });
  }
  return [...found].toSorted();
}

/** The package `name` as a module in the folder `from` gets it; null = it does not. */
function findPackage(name: string, from: string, root: string): string | null {
  for (let folder = from; ; folder = dirname(folder)) {
    const candidate = join(folder, 'node_modules', name);
    if (existsSync(join(candidate, 'package.json'))) return candidate;
    if (folder === root) return null;
  }
}

if (import.meta.main) {
  const [to] = process.argv.slice(2);
  if (to === undefined) throw new Error('usage: node scripts/image-packages.ts FOLDER');
  const root = join(import.meta.dirname, '..');
  for (const place of packagesOf(root, external))
    cpSync(join(root, 'node_modules', place), join(to, place), {
      recursive: true,
      // A package within is copied when it is itself one of them.
      filter: (path) => relative(join(root, 'node_modules', place), path).split('/')[0] !== 'node_modules',
    });
}
