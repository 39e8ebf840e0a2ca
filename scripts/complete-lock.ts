/**
 * `npm run lock`: adds the entries of other platforms' packages that npm left out of package-lock.json because its
 * registry does not have them. `npm ci` refuses a lock file without them, on every platform.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import type { LockFile } from './lock-file.ts';
import { missingOptionals, platformEntry } from './lock-file.ts';

const path = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(path, 'utf8')) as LockFile;
const missing = missingOptionals(lock);
if (missing.length > 0) {
  const added = missing.map((one) => [`node_modules/${one.name}`, platformEntry(one, lock)] as const);
  const packages = [...Object.entries(lock.packages), ...added].sort(([a], [b]) => a.localeCompare(b, 'en'));
  writeFileSync(path, `${JSON.stringify({ ...lock, packages: Object.fromEntries(packages) }, null, 2)}\n`);
}
process.stdout.write(`${missing.length} entries added to package-lock.json\n`);
