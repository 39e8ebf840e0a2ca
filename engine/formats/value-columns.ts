/** The columns that a decoder fills: one builder per field of the record, shared by the columns that read it. */
import { assert } from '../../core/assert.ts';
import type { DataType } from '../../core/types.ts';
import type { Column } from '../column-batch.ts';
import { ColumnBuilder } from '../scan/column-builder.ts';
import type { ValueField } from './value-decoder.ts';

export interface ValueTarget {
  readonly path: string;
  readonly type: DataType;
  readonly builder: ColumnBuilder;
}

export class ValueColumns {
  readonly targets: readonly ValueTarget[];
  readonly #places: readonly number[];

  /** Throws: UNSUPPORTED for a type that no record can hold. */
  constructor(fields: readonly ValueField[]) {
    const paths = [...new Set(fields.map(({ path }) => path))];
    this.targets = paths.map((path) => {
      const readers = fields.filter((field) => field.path === path);
      const [first] = readers;
      assert(first !== undefined, () => `nobody reads ${path}`);
      const required = readers.some((reader) => reader.required);
      return { path, type: first.type, builder: new ColumnBuilder(first.type, first.name, required) };
    });
    this.#places = fields.map(({ path }) => paths.indexOf(path));
  }

  begin(rows: number): void {
    for (const { builder } of this.targets) builder.begin(rows);
  }

  setNull(row: number): void {
    for (const { builder } of this.targets) builder.setNull(row);
  }

  columns(data: Uint8Array): Column[] {
    const columns = this.targets.map(({ builder }) => builder.column(data));
    return this.#places.map((place) => columns[place]!);
  }
}
