/** Rows of an epoch on their way to sinks that take it as a whole. */
import type { BatchPart } from '../core/row-sink.ts';
import type { SinkOutput } from '../engine/stage.ts';

/** Rows of an attempt of an epoch that wait for the rest of it. */
export class StagedRows {
  readonly #parts = new Map<number, { readonly order: number; readonly part: BatchPart }[]>();

  /** `unit`: what the rows came out of, the same for every attempt; `order`: the place of the task within it. */
  add(outputs: readonly SinkOutput[], unit: string, order: number): void {
    for (const [sink, output] of outputs.entries()) {
      if (output.kind !== 'rows' || output.rowCount === 0) continue;
      const parts = this.#parts.get(sink) ?? [];
      parts.push(...output.parts.map((part) => ({ order, part: { ...part, unit } })));
      this.#parts.set(sink, parts);
    }
  }

  /** In the same order for every attempt that divides the work alike. */
  of(sink: number): BatchPart[] {
    const parts = this.#parts.get(sink) ?? [];
    parts.sort((a, b) => compareText(a.part.unit, b.part.unit) || a.order - b.order);
    return parts.map(({ part }) => part);
  }
}

function compareText(a: string, b: string): number {
  return a === b ? 0 : a < b ? -1 : 1;
}
