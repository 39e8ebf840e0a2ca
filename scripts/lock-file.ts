/** What package-lock.json lacks when npm wrote it from a registry that has only some platforms' packages. */

/** An entry of the lock file, as far as it matters here. */
export interface LockEntry {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly engines?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

/** A lock file of version 3. */
export interface LockFile {
  /** By place in the tree: `node_modules/a`, `node_modules/a/node_modules/b`; the project itself is ''. */
  readonly packages: Readonly<Record<string, LockEntry>>;
}

/** An optional dependency without an entry. */
export interface MissingOptional {
  readonly name: string;
  /** The version or range that is asked for. */
  readonly version: string;
  /** Place of the package that names it. */
  readonly by: string;
}

/** Operating systems as `process.platform` has them and processors as `process.arch` has them, then an ABI or a libc. */
const platformPattern =
  /(?:^|[-/])(aix|android|darwin|freebsd|linux|netbsd|openbsd|openharmony|sunos|win32)-([a-z0-9]+)(?:-([a-z0-9]+))?$/;

/** The optional dependencies that some entry names and none is for. */
export function missingOptionals(lock: LockFile): MissingOptional[] {
  const places = new Map(Object.entries(lock.packages));
  return [...places].flatMap(([by, entry]) =>
    Object.entries(entry.optionalDependencies ?? {})
      .filter(([name]) => !lookupPlaces(by, name).some((place) => places.has(place)))
      .map(([name, version]) => ({ name, version, by })),
  );
}

/**
 * The entry for a package that the registry did not show, made from its name and from the package that names it. It has
 * no integrity: npm takes what the registry gives, as it does for a package that is not in the lock.
 *
 * Throws: Error when the name holds no platform or the version is a range.
 */
export function platformEntry({ name, version, by }: MissingOptional, lock: LockFile): LockEntry {
  const [, os, cpu, abi = ''] = platformPattern.exec(name) ?? [];
  if (os === undefined || cpu === undefined)
    throw new Error(`${name}, which ${by} names, has no platform in its name; add its entry by hand`);
  if (!/^\d+\.\d+\.\d+(-[\w.-]+)?$/.test(version))
    throw new Error(`${name}@${version}, which ${by} names, is no exact version; add its entry by hand`);
  const { license, dev, engines } = lock.packages[by] ?? {};
  const libc = abi.startsWith('musl') ? 'musl' : abi === 'gnu' ? 'glibc' : undefined;
  const entry = {
    version,
    cpu: [cpu],
    dev,
    libc: libc === undefined ? undefined : [libc],
    license,
    optional: true,
    os: [os],
    engines,
  };
  return JSON.parse(JSON.stringify(entry)) as LockEntry;
}

/** Where Node looks for a package that is asked for at `place`: from there up to the project. */
function lookupPlaces(place: string, name: string): string[] {
  const places = [`${place === '' ? '' : `${place}/`}node_modules/${name}`];
  for (let folder = place; folder !== '';) {
    folder = folder.slice(0, Math.max(folder.lastIndexOf('/node_modules/'), 0));
    places.push(`${folder === '' ? '' : `${folder}/`}node_modules/${name}`);
  }
  return places;
}
