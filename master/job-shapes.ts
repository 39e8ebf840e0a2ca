/** What the workers of a job met of records that differ from the schema of their source: one list, each difference once. */
import { describeFieldChange } from '../core/field-change.ts';
import type { SchemaChange } from '../proto/gen/control.ts';
import type { SchemaChangeView } from './views.ts';

const CHANGES_MAX = 64;
const none: readonly SchemaChangeView[] = [];

export class JobShapes {
  #run = 0;
  #changes: readonly SchemaChangeView[] = none;

  /** Takes what a heartbeat says; it says the same again and again. What belongs to an earlier run is left out. */
  add(change: SchemaChange): void {
    const { run, source, kind, column, partition, offset } = change;
    if (run < this.#run || !isKind(kind)) return;
    if (run > this.#run) {
      this.#run = run;
      this.#changes = none;
    }
    const known = this.#changes.some((each) => each.source === source && each.kind === kind && each.column === column);
    if (known || this.#changes.length >= CHANGES_MAX) return;
    const facts = { kind, column, before: textOf(change.before), after: textOf(change.after) };
    const message = `${describeFieldChange(facts)} (partition ${partition}, offset ${offset})`;
    this.#changes = [...this.#changes, { source, ...facts, partition, offset, message }];
  }

  /** Of the run; the same list while nothing was added. */
  of(run: number): readonly SchemaChangeView[] {
    return run === this.#run ? this.#changes : none;
  }
}

function isKind(kind: string): kind is SchemaChangeView['kind'] {
  return kind === 'new' || kind === 'missing' || kind === 'retyped';
}

function textOf(text: string): string | null {
  return text === '' ? null : text;
}
