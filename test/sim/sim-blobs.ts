/** A pretend blob store: whole blobs under their names, behind the pretend network. Bits may be flipped on purpose. */
import { WeirError, isWeirError } from '../../core/errors.ts';
import { backoffMs } from '../../core/clock.ts';
import type { BlobStore } from '../../core/ports.ts';
import type { SimNode, Simulation } from './kernel.ts';
import type { SimNetwork } from './network.ts';
import type { SimRng } from './rng.ts';

export const BLOB_SERVER = 'blobs';
const REQUEST_TIMEOUT_MS = 800;

export class SimBlobServer {
  readonly blobs = new Map<string, Uint8Array>();
  /** What was claimed, by id and part. */
  readonly parts = new Map<string, Map<number, Uint8Array>>();
  readonly #damaged = new Set<string>();

  put(id: string, bytes: Uint8Array): void {
    this.blobs.set(id, bytes.slice());
    this.#damaged.delete(id);
  }

  get(id: string): Uint8Array | undefined {
    if (this.#damaged.has(id)) throw new WeirError('STATE_DAMAGED', `the blob ${id} fails its checksum`);
    return this.blobs.get(id)?.slice();
  }

  claim(id: string, part: number, bytes: Uint8Array): Uint8Array {
    const parts = this.parts.get(id) ?? new Map<number, Uint8Array>();
    this.parts.set(id, parts);
    if (!parts.has(part)) parts.set(part, bytes.slice());
    return parts.get(part)?.slice() ?? bytes;
  }

  delete(ids: readonly string[]): void {
    for (const id of ids) {
      this.blobs.delete(id);
      this.parts.delete(id);
    }
  }

  /** From now on the blob fails its checksum. */
  damage(id: string): void {
    this.#damaged.add(id);
  }

  get isDamaged(): boolean {
    return this.#damaged.size > 0;
  }

  /** All blobs are as they were written again. */
  repair(): void {
    this.#damaged.clear();
  }
}

/** One process's client. */
export class SimBlobStore implements BlobStore {
  readonly #sim: Simulation;
  readonly #network: SimNetwork;
  readonly #server: SimBlobServer;
  readonly #node: SimNode;
  readonly #rng: SimRng;

  constructor(sim: Simulation, network: SimNetwork, server: SimBlobServer, node: SimNode, rng: SimRng) {
    this.#sim = sim;
    this.#network = network;
    this.#server = server;
    this.#node = node;
    this.#rng = rng;
  }

  async put(id: string, bytes: Uint8Array, signal?: AbortSignal): Promise<void> {
    const copy = bytes.slice();
    await this.#retried(true, () => this.#server.put(id, copy), signal);
  }

  async get(id: string): Promise<Uint8Array | undefined> {
    const answer = await this.#retried(false, () => {
      try {
        return { bytes: this.#server.get(id) };
      } catch (error) {
        return { error };
      }
    });
    if ('error' in answer) throw answer.error;
    return answer.bytes;
  }

  async claim(id: string, part: number, bytes: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> {
    const copy = bytes.slice();
    return await this.#retried(true, () => this.#server.claim(id, part, copy), signal);
  }

  async claimed(id: string, part: number): Promise<Uint8Array | undefined> {
    return await this.#retried(false, () => this.#server.parts.get(id)?.get(part)?.slice());
  }

  async delete(ids: readonly string[]): Promise<void> {
    await this.#retried(true, () => this.#server.delete(ids));
  }

  async #retried<T>(write: boolean, apply: () => T, signal?: AbortSignal): Promise<T> {
    const clock = this.#sim.clock(this.#node);
    const unavailable = (): WeirError => new WeirError('STORE_UNAVAILABLE', 'the simulated blob store does not answer');
    for (let attempt = 0; ; attempt++) {
      try {
        const request = { client: this.#node, server: BLOB_SERVER, timeoutMs: REQUEST_TIMEOUT_MS, write, unavailable };
        return await this.#network.request(request, apply);
      } catch (error) {
        if (!isWeirError(error, 'STORE_UNAVAILABLE') || signal?.aborted === true || attempt > 50) throw error;
        await clock.sleep(backoffMs(this.#rng, attempt), signal).catch(() => undefined);
      }
    }
  }
}
