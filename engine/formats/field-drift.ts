/** How the records of a source come to differ from the schema that its job was planned with. */
import type { DeadLetterReason } from '../../core/errors.ts';
import type { FieldChange } from '../../core/field-change.ts';
import type { Schema } from '../../core/types.ts';

/**
 * What a source does about it. `report`: tells. `evolve`: tells, and the master adds new fields to the job. `deadLetter`:
 * records of another shape become dead letters. `fail`: the first of them stops the job.
 */
export type DriftPolicy = 'report' | 'evolve' | 'deadLetter' | 'fail';

/** Part of a scan's plan where the source says what to do: all fields that it has, whatever the query reads of them. */
export interface DriftPlan {
  readonly policy: DriftPolicy;
  readonly fields: Schema;
}

/** One difference, told once. */
export interface FieldDrift extends FieldChange {
  /** Of a record that has it: the first one looked at. */
  readonly partition: number;
  readonly offset: number;
}

/** Reasons of dead letters that say that a record has another shape, rather than a bad value. */
export const shapeReasons: ReadonlySet<string> = new Set<DeadLetterReason>([
  'RECORD_SCHEMA_CHANGED',
  'FIELD_WRONG_TYPE',
  'FIELD_MISSING',
]);

/** Of one source and thread; a producer that makes up names cannot fill memory. */
const DRIFTS_MAX = 64;
/** Longer names are cut where they are told. */
const NAME_MAX = 128;

/** Notes every difference once, up to a bound. */
export class DriftNotes {
  readonly #known = new Set<string>();
  #fresh: FieldDrift[] = [];

  /** No more are noted. */
  get full(): boolean {
    return this.#known.size >= DRIFTS_MAX;
  }

  has(kind: FieldDrift['kind'], column: string): boolean {
    return this.#known.has(`${kind} ${column}`);
  }

  note(drift: FieldDrift): void {
    const key = `${drift.kind} ${drift.column}`;
    if (this.full || this.#known.has(key)) return;
    this.#known.add(key);
    this.#fresh.push({ ...drift, column: shortName(drift.column) });
  }

  /** What was noted since the last call; undefined = nothing. */
  take(): readonly FieldDrift[] | undefined {
    if (this.#fresh.length === 0) return undefined;
    const taken = this.#fresh;
    this.#fresh = [];
    return taken;
  }
}

/** A name out of a record, as far as places and messages show it. */
export function shortName(name: string): string {
  return name.length <= NAME_MAX ? name : `${name.slice(0, NAME_MAX)}…`;
}
