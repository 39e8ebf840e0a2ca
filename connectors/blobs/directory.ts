/**
 * Blobs as files of one directory, for clusters whose workers share a file system. Invariant: a file under its final name
 * is whole (written beside it, flushed, then renamed), unless the disk damages it, which its checksum shows.
 */
import { createHash, randomUUID } from 'node:crypto';
import { link, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock, Rng } from '../../core/clock.ts';
import { backoffMs } from '../../core/clock.ts';
import { crc32c } from '../../core/crc32c.ts';
import { WeirError, isWeirError, messageOf } from '../../core/errors.ts';
import type { BlobStore } from '../../core/ports.ts';
import { BLOB_FORMAT_VERSION, damagedBlob } from '../../core/blobs/chunked-store.ts';

/** `WEIR`, u32 format version, u32 CRC-32C of the content, u32 0, f64 length of the content; big-endian. */
const HEADER_BYTES = 24;
const MAGIC = 0x57454952;
/** Longer ids are stored under their hash: file names end at 255 bytes. */
const NAME_BYTES_MAX = 200;

export class DirectoryBlobStore implements BlobStore {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #rng: Rng;
  #made: Promise<unknown> | undefined;

  /** The directory is made with the first blob. */
  constructor(directory: string, parts: { readonly clock: Clock; readonly rng: Rng }) {
    this.#directory = directory;
    this.#clock = parts.clock;
    this.#rng = parts.rng;
  }

  async put(id: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      try {
        if (signal?.aborted === true) throw this.#givenUp(undefined);
        return await this.#write(id, bytes);
      } catch (error) {
        const failure = isWeirError(error) ? error : this.#failed('written to', error);
        if (!failure.retryable || signal?.aborted === true) throw failure;
        await this.#clock.sleep(backoffMs(this.#rng, attempt), signal).catch(() => {
          throw this.#givenUp(failure);
        });
      }
    }
  }

  async get(id: string): Promise<Uint8Array | undefined> {
    let file: Buffer;
    try {
      file = await readFile(this.#pathOf(id));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw this.#failed('read from', error);
    }
    const damaged = (why: string): WeirError => damagedBlob(id, this.#directory, why);
    if (file.byteLength < HEADER_BYTES || file.readUInt32BE(0) !== MAGIC) throw damaged('it has no header');
    const version = file.readUInt32BE(4);
    if (version !== BLOB_FORMAT_VERSION) {
      throw new WeirError(
        'VERSION_MISMATCH',
        `The blob ${id} in ${this.#directory} has format ${version}; this version of Weir reads format ${BLOB_FORMAT_VERSION}.`,
      );
    }
    const length = file.readDoubleBE(16);
    if (file.byteLength !== HEADER_BYTES + length)
      throw damaged(`it has ${file.byteLength - HEADER_BYTES} bytes instead of ${length}`);
    const bytes = new Uint8Array(file.subarray(HEADER_BYTES));
    if (crc32c(bytes) !== file.readUInt32BE(8)) throw damaged('its checksum does not match');
    return bytes;
  }

  /** A part is a file beside the others; of those who link it, the first one succeeds. */
  async claim(id: string, part: number, bytes: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    for (let attempt = 0; ; attempt++) {
      try {
        if (signal?.aborted === true) throw this.#givenUp(undefined);
        return await this.#claim(id, part, bytes);
      } catch (error) {
        const failure = isWeirError(error) ? error : this.#failed('written to', error);
        if (!failure.retryable || signal?.aborted === true) throw failure;
        await this.#clock.sleep(backoffMs(this.#rng, attempt), signal).catch(() => {
          throw this.#givenUp(failure);
        });
      }
    }
  }

  async claimed(id: string, part: number): Promise<Uint8Array | undefined> {
    try {
      return new Uint8Array(await readFile(join(this.#partsOf(id), String(part))));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw this.#failed('read from', error);
    }
  }

  async #claim(id: string, part: number, bytes: Uint8Array): Promise<Uint8Array> {
    const directory = this.#partsOf(id);
    await mkdir(directory, { recursive: true });
    const temporary = join(directory, `.${randomUUID()}.part`);
    try {
      const file = await open(temporary, 'wx');
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await link(temporary, join(directory, String(part)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      await rm(temporary, { force: true }).catch(() => undefined);
    }
    await syncDirectory(directory);
    await syncDirectory(this.#directory);
    return (await this.claimed(id, part)) ?? bytes;
  }

  async delete(ids: readonly string[]): Promise<void> {
    for (const id of ids) {
      try {
        await rm(this.#pathOf(id), { force: true });
        await rm(this.#partsOf(id), { force: true, recursive: true });
      } catch (error) {
        throw this.#failed('deleted from', error);
      }
    }
  }

  async #write(id: string, bytes: Uint8Array): Promise<void> {
    this.#made ??= mkdir(this.#directory, { recursive: true });
    await this.#made.catch((error: unknown) => {
      this.#made = undefined;
      throw error;
    });
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32BE(MAGIC, 0);
    header.writeUInt32BE(BLOB_FORMAT_VERSION, 4);
    header.writeUInt32BE(crc32c(bytes), 8);
    header.writeDoubleBE(bytes.byteLength, 16);
    const path = this.#pathOf(id);
    // Random, as another process may be writing the same blob.
    const temporary = join(this.#directory, `.${randomUUID()}.part`);
    try {
      const file = await open(temporary, 'wx');
      try {
        await file.writev([header, bytes]);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
    await syncDirectory(this.#directory);
  }

  /** Holds the parts of an id, under their numbers. */
  #partsOf(id: string): string {
    return this.#pathOf(id).replace(/blob$/, 'parts');
  }

  /** Ids may hold any character; `%` keeps the encoded ones apart from the others. */
  #pathOf(id: string): string {
    const name = encodeURIComponent(id).replace(/^\./, '%2E');
    const short = name.length <= NAME_BYTES_MAX ? name : `%sha256-${createHash('sha256').update(id).digest('hex')}`;
    return join(this.#directory, `${short}.blob`);
  }

  #failed(verb: string, error: unknown): WeirError {
    const { code } = error as NodeJS.ErrnoException;
    const at = `A blob cannot be ${verb} the directory ${this.#directory}: ${messageOf(error)}.`;
    if (code === 'ENOSPC' || code === 'EDQUOT') return new WeirError('DISK_FULL', at, { cause: error });
    const forbidden = code === 'EACCES' || code === 'EPERM' || code === 'EROFS' || code === 'ENOTDIR';
    if (forbidden) return new WeirError('CONFIG_INVALID', `${at} Check WEIR_STATE_DIR.`, { cause: error });
    return new WeirError('STORE_UNAVAILABLE', at, { cause: error });
  }

  #givenUp(cause: unknown): WeirError {
    return new WeirError('STORE_UNAVAILABLE', `A blob was not written to ${this.#directory}: it was given up.`, {
      cause,
    });
  }
}

/** The new name itself must survive a power cut. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
