/**
 * `npm run sbom`: what is shipped as a CycloneDX document, from package-lock.json alone. npm makes it; what only development
 * needs is taken out here, because `npm sbom --omit dev` also leaves out what both need.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');

/** A package of the document, as far as it matters here. */
export interface Component {
  /** With its scope. */
  readonly name: string;
  readonly version: string;
  readonly 'bom-ref': string;
  readonly licenses?: readonly { readonly license?: { readonly id?: string }; readonly expression?: string }[];
  readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
}

/** A CycloneDX document. */
export interface Sbom {
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** An entry of package-lock.json. */
export interface LockedPackage {
  readonly version: string;
  readonly integrity?: string;
  readonly dev?: boolean;
}

/** Packages of the lock file that more than development needs, by `name@version`. */
export function shippedPackages(lock: {
  readonly packages: Readonly<Record<string, LockedPackage>>;
}): ReadonlyMap<string, LockedPackage> {
  const marker = 'node_modules/';
  return new Map(
    Object.entries(lock.packages)
      .filter(([place, { dev }]) => place !== '' && dev !== true)
      .map(([place, entry]) => [`${place.slice(place.lastIndexOf(marker) + marker.length)}@${entry.version}`, entry]),
  );
}

/** `document` without what is not in `shipped`. */
export function withoutOthers<T extends Sbom>(document: T, shipped: ReadonlyMap<string, unknown>): T {
  const components = document.components.filter(({ name, version }) => shipped.has(`${name}@${version}`));
  const removed = new Set(document.components.filter((one) => !components.includes(one)).map((one) => one['bom-ref']));
  const dependencies = document.dependencies
    .filter(({ ref }) => !removed.has(ref))
    .map((one) => ({ ...one, dependsOn: one.dependsOn.filter((ref) => !removed.has(ref)) }));
  return { ...document, components, dependencies };
}

if (import.meta.main) {
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as Parameters<
    typeof shippedPackages
  >[0];
  const args = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'];
  const text = execFileSync('npm', args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 27 });
  const document = withoutOthers(JSON.parse(text) as Sbom, shippedPackages(lock));
  process.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
}
