/**
 * Whether the masters of a cluster share their security folder. One that has a folder of its own lets nobody in whom the
 * others know: it refuses the tokens they made and, with TLS, the workers that they gave certificates. That would show only
 * when it takes over, so it is said at its start. The leader's lease carries the folder's id; who comes later compares.
 */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../../core/clock.ts';
import { WeirError, messageOf } from '../../core/errors.ts';
import type { MetaStore } from '../../core/meta.ts';
import type { Log } from '../../core/ports.ts';
import { TAKEOVER_MS } from '../lease.ts';

/** The lease is looked at so often, ms. */
const LOOK_INTERVAL_MS = 250;

/**
 * The id of a security folder without certificates, made at the first start; null where none can be kept. It is no secret.
 * With certificates the authority's fingerprint is the id.
 */
export function folderId(directory: string): string | null {
  const path = join(directory, 'folder-id');
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    try {
      writeFileSync(path, `${randomBytes(16).toString('hex')}\n`, { mode: 0o644, flag: 'wx' });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    const id = readFileSync(path, 'utf8').trim();
    return /^[0-9a-f]{32}$/.test(id) ? id : null;
  } catch {
    return null;
  }
}

export interface SharedFolderParts {
  readonly store: Pick<MetaStore, 'readLease'>;
  readonly clock: Pick<Clock, 'mono' | 'sleep'>;
  readonly log: Pick<Log, 'warn'>;
  /** Of this master's folder. */
  readonly id: string;
  readonly directory: string;
}

/**
 * Resolves when no master leads that has another folder: at once in a cluster as it should be, else when the lease has stood
 * still for as long as it takes to take it over. A store that does not answer is no reason not to start.
 *
 * Throws: CONFIG_INVALID when one leads.
 */
export async function requireSharedFolder({ store, clock, log, id, directory }: SharedFolderParts): Promise<void> {
  const startedAt = clock.mono();
  try {
    const first = await store.readLease();
    for (let row = first; row !== undefined; row = await store.readLease()) {
      const { security = id, holder, httpAddress } = row;
      if (holder === '' || security === id) return;
      if (row.ver !== first?.ver) throw anotherFolder(httpAddress, security, id, directory);
      if (clock.mono() - startedAt >= TAKEOVER_MS) return;
      await clock.sleep(LOOK_INTERVAL_MS);
    }
  } catch (error) {
    if (error instanceof WeirError && error.code === 'CONFIG_INVALID') throw error;
    log.warn({}, `whether the masters share their security folder cannot be told: ${messageOf(error)}`);
  }
}

function anotherFolder(leader: string, theirs: string, own: string, directory: string): WeirError {
  return new WeirError(
    'CONFIG_INVALID',
    `The master that leads, ${leader}, has another security folder than this one: it is ${theirs.slice(0, 16)}…, and ${directory} ` +
      `is ${own.slice(0, 16)}…. Tokens and certificates of the one would be refused by the other. Masters of one cluster share the ` +
      'folder: set WEIR_SECURITY_DIR of each to the same one, on a volume or a file system that all of them have.',
    { facts: { leader, theirs, own, directory } },
  );
}
