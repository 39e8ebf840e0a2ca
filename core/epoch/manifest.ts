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
  /** `stage/group` → {@link StoredPlace} as text; groups that hold nothing are left out. */
  readonly groups: Readonly<Record<string, string>>;
  /** Bytes of each of them, in the same order. */
  readonly bytes: readonly number[];
  /**
   * For groups whose blob was made by a job with other aggregates: for each aggregate of the job the place of its
   * buffers in the blob, -1 = it begins empty. Groups that are left out are stored as the job has them.
   */
  readonly sections?: Readonly<Record<string, readonly number[]>>;
  readonly at: HeadFacts;
}

/** Where the bytes of a group are: a whole blob, or a part of one that holds several groups. */
export interface StoredPlace {
  readonly blob: string;
  /** null = the whole blob. */
  readonly part: { readonly offset: number; readonly length: number } | null;
}

/** `blob`, or `blob#offset+length`. */
export function formatPlace({ blob, part }: StoredPlace): string {
  return part === null ? blob : `${blob}#${part.offset}+${part.length}`;
}

/** Inverse of {@link formatPlace}. */
export function parsePlace(text: string): StoredPlace {
  const found = /^(.*)#(\d+)\+(\d+)$/.exec(text);
  if (found === null) return { blob: text, part: null };
  return { blob: found[1] ?? '', part: { offset: Number(found[2]), length: Number(found[3]) } };
}

/** What workers stored for one key group. */
export interface StoredEntry {
  readonly stage: number;
  readonly group: number;
  /** {@link StoredPlace} as text; empty = the group holds nothing. */
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
  const sections = new Map(Object.entries(former?.sections ?? {}));
  for (const { stage, group, blob, bytes } of stored) {
    const key = `${stage}/${group}`;
    sections.delete(key);
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
    ...sectionsOf(sections),
    at,
  };
}

function sectionsOf(sections: ReadonlyMap<string, readonly number[]>): Pick<Manifest, 'sections'> {
  return sections.size === 0 ? {} : { sections: Object.fromEntries(sections) };
}

/** How the stored groups of one stage are read by a changed job. */
export interface StageChange {
  /** Number of the stage in the changed job; -1 = it is gone, and what it kept. */
  readonly to: number;
  /** For each aggregate of the changed job its place in the job before, -1 = it begins empty; null = they are the same. */
  readonly aggregates: readonly number[] | null;
}

/**
 * The same blobs as the state of a changed job, whose `definition` this is. Stages that `changes` does not name stay.
 * Blobs are not rewritten: what was changed several times since a group was stored is put together.
 */
export function changedManifest(
  manifest: Manifest,
  definition: string,
  changes: ReadonlyMap<number, StageChange>,
): Manifest {
  const sections = new Map<string, readonly number[]>();
  const kept = Object.entries(manifest.groups).flatMap(([key, blob], index) => {
    const [stage, group] = key.split('/');
    const { to, aggregates } = changes.get(Number(stage)) ?? { to: Number(stage), aggregates: null };
    if (to < 0) return [];
    const before = manifest.sections?.[key];
    const now = aggregates?.map((place) => (place < 0 ? -1 : (before?.[place] ?? place))) ?? before;
    if (now !== undefined) sections.set(`${to}/${group}`, now);
    return [{ key: `${to}/${group}`, blob, bytes: manifest.bytes[index] ?? 0 }];
  });
  const { sections: _, ...same } = manifest;
  return {
    ...same,
    definition,
    groups: Object.fromEntries(kept.map(({ key, blob }) => [key, blob])),
    bytes: kept.map(({ bytes }) => bytes),
    ...sectionsOf(sections),
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
  return new Set([id, ...Object.values(manifest.groups).map((place) => parsePlace(place).blob)]);
}

export function manifestBytes(manifest: Manifest): number {
  return manifest.bytes.reduce((sum, bytes) => sum + bytes, 0);
}
