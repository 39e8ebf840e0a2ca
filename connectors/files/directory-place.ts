/** Files in a directory. What is there under a name is whole: files are written beside, synced and then linked or renamed. */
import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readdir, readFile, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import type { FilePlace } from './file-place.ts';

/** Begins the names of files that are being written. Readers of such directories leave out what begins with a dot. */
const UNFINISHED = '.weir-';

export class DirectoryPlace implements FilePlace {
  readonly description: string;
  readonly moves = true;
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
    this.description = root;
  }

  async write(name: string, bytes: Uint8Array): Promise<void> {
    const unfinished = await this.#unfinished(name, bytes);
    await rename(unfinished, this.#path(name));
    await syncDirectory(dirname(this.#path(name)));
  }

  async create(name: string, bytes: Uint8Array): Promise<boolean> {
    const unfinished = await this.#unfinished(name, bytes);
    try {
      // A link fails where a rename would replace.
      await link(unfinished, this.#path(name));
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      throw error;
    } finally {
      await unlink(unfinished);
    }
    await syncDirectory(dirname(this.#path(name)));
    return true;
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    try {
      return await readFile(this.#path(name));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  async list(prefix: string): Promise<readonly { readonly name: string; readonly bytes: number }[]> {
    const folder = prefix.slice(0, prefix.lastIndexOf('/') + 1);
    const found: { name: string; bytes: number }[] = [];
    for (const path of await filesIn(this.#path(folder))) {
      const name = relative(this.#root, path).split(sep).join('/');
      if (!name.startsWith(prefix)) continue;
      const { size } = await stat(path).catch(() => ({ size: -1 }));
      if (size >= 0) found.push({ name, bytes: size });
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  async move(from: string, to: string): Promise<void> {
    await mkdir(dirname(this.#path(to)), { recursive: true });
    try {
      await rename(this.#path(from), this.#path(to));
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error;
      await stat(this.#path(to));
    }
    await syncDirectory(dirname(this.#path(to)));
  }

  async remove(names: readonly string[]): Promise<void> {
    for (const name of names) await rm(this.#path(name), { force: true });
  }

  /** Writes and syncs under a name of its own; its path. */
  async #unfinished(name: string, bytes: Uint8Array): Promise<string> {
    const folder = dirname(this.#path(name));
    await mkdir(folder, { recursive: true });
    const path = join(folder, `${UNFINISHED}${randomUUID()}`);
    const file = await open(path, 'w');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    return path;
  }

  #path(name: string): string {
    return join(this.#root, name);
  }
}

async function filesIn(folder: string): Promise<string[]> {
  let entries;
  try {
    entries = await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return [];
    throw error;
  }
  const found = await Promise.all(
    entries.map(async (entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return await filesIn(path);
      return entry.isFile() && !entry.name.startsWith(UNFINISHED) ? [path] : [];
    }),
  );
  return found.flat();
}

/** A new name is durable once its directory is. */
async function syncDirectory(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
