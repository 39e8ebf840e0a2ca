/** A table that grows: its heads once, and columns that keep the width they have got. */
import { coloured, painted } from './colour.ts';
import { oneLine, print, terminalWidth } from './output.ts';
import { cutToWidth, padToWidth, textWidth } from './text-width.ts';

export class RowTable {
  #widths: number[] = [];
  #heads = '';

  /** Rows below those that were printed before; the heads again when they are others. */
  print(heads: readonly string[], rows: readonly (readonly string[])[]): void {
    const all = [heads, ...rows].map((row) => row.map(oneLine));
    const text = JSON.stringify(heads);
    const isNew = text !== this.#heads;
    if (isNew) this.#widths = [];
    this.#heads = text;
    this.#widths = heads.map((_, at) => Math.max(this.#widths[at] ?? 0, ...all.map((row) => textWidth(row[at] ?? ''))));
    for (const [index, row] of all.entries()) {
      if (index === 0 && !isNew) continue;
      const line = cutToWidth(
        row
          .map((cell, at) => (at === row.length - 1 ? cell : `${padToWidth(cell, this.#widths[at] ?? 0)}  `))
          .join('')
          .trimEnd(),
        terminalWidth(),
      );
      print(index === 0 && coloured(process.stdout) ? painted(line, 'bold') : line);
    }
  }
}
