/** What a snapshot is made of, and where the job stood when it was taken: enough to start a run from it. */
import { assert } from '../assert.ts';
import type { EpochHead } from './types.ts';
import { EPOCH_FORMAT_VERSION } from './types.ts';

/** The parts of a head that are facts about the position, as of one epoch. */
export type HeadFacts = Pick<
  EpochHead,
  'epochTsUs' | 'positions' | 'starts' | 'eventTimes' | 'watermarkUs' | 'evictUs' | 'counters' | 'late'
>;

export interface Manifest {
  readonly formatVersion: number;
  readonly epoch: number;
  /** Hash of the definition that made the state. */
  readonly definition: string;
  /** `stage/group` → blob; groups that hold nothing are left out. */
  readonly groups: Readonly<Record<string, string>>;
  /** Bytes of each of them, in the same order. */
  readonly bytes: readonly number[];
  readonly at: HeadFacts;
}

/** What workers stored for one key group. */
export interface StoredEntry {
  readonly stage: number;
  readonly group: number;
  /** Empty = the group holds nothing. */
  readonly blob: string;
  readonly bytes: number;
}

/** The manifest after `former` with what was stored since; `former` null = all that there is was stored. */
export function nextManifest(
  former: Manifest | null,
  epoch: number,
  stored: Iterable<StoredEntry>,
  at: HeadFacts,
  definition: string,
): Manifest {
  const sizes = new Map<string, number>();
  const groups = new Map<string, string>();
  for (const [index, [key, blob]] of Object.entries(former?.groups ?? {}).entries()) {
    groups.set(key, blob);
    sizes.set(key, former?.bytes[index] ?? 0);
  }
  for (const { stage, group, blob, bytes } of stored) {
    const key = `${stage}/${group}`;
    if (blob === '') groups.delete(key);
    else {
      groups.set(key, blob);
      sizes.set(key, bytes);
    }
  }
  const entries = [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
  return {
    formatVersion: EPOCH_FORMAT_VERSION,
    epoch,
    definition,
    groups: Object.fromEntries(entries),
    bytes: entries.map(([key]) => sizes.get(key) ?? 0),
    at,
  };
}

/** The same state for a job whose stages have other numbers; -1 = the stage is gone, what is not named stays. */
export function withStages(manifest: Manifest, stages: ReadonlyMap<number, number>): Manifest {
  const kept = Object.entries(manifest.groups).flatMap(([key, blob], index) => {
    const [stage, group] = key.split('/');
    const to = stages.get(Number(stage)) ?? Number(stage);
    return to < 0 ? [] : [{ key: `${to}/${group}`, blob, bytes: manifest.bytes[index] ?? 0 }];
  });
  return {
    ...manifest,
    groups: Object.fromEntries(kept.map(({ key, blob }) => [key, blob])),
    bytes: kept.map(({ bytes }) => bytes),
  };
}

export function encodeManifest(manifest: Manifest): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(manifest));
}

/** Inverse of {@link encodeManifest}; the store has checked the bytes. */
export function decodeManifest(bytes: Uint8Array): Manifest {
  const manifest = JSON.parse(new TextDecoder().decode(bytes)) as Manifest;
  assert(
    manifest.formatVersion <= EPOCH_FORMAT_VERSION,
    () => `a manifest of format ${manifest.formatVersion} was written by a newer version of Weir`,
  );
  return manifest;
}

/** All blobs that the snapshot `id` names, itself included. */
export function blobsOf(id: string, manifest: Manifest): Set<string> {
  return new Set([id, ...Object.values(manifest.groups)]);
}

export function manifestBytes(manifest: Manifest): number {
  return manifest.bytes.reduce((sum, bytes) => sum + bytes, 0);
}
