/** One line on a terminal that changes while a command waits, with a bar where the end is known; elsewhere nothing. */
import { formatCount, isQuiet, oneLine } from './output.ts';
import { cutToWidth } from './text-width.ts';

const FRAMES = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'] as const;
const BAR_CELLS = 24;
const WIDTH_MIN = 40;

/** `[██████░░░░]  50 %`; parts over 1 count as 1. */
export function progressBar(part: number, cells = BAR_CELLS): string {
  const whole = Math.min(1, Math.max(0, part));
  const full = Math.floor(whole * cells);
  return `[${'█'.repeat(full)}${'░'.repeat(cells - full)}] ${String(Math.floor(whole * 100)).padStart(3)} %`;
}

/** `1,200 of 4,000` behind a bar, or the count alone where nobody knows how many there will be. */
export function progressOf(done: number, all: number | null): string {
  if (all === null || all <= 0) return formatCount(done);
  return `${progressBar(done / all)}  ${formatCount(done)} of ${formatCount(all)}`;
}

/**
 * On stderr, so that stdout stays data. Lines printed while it stands would run into it: {@link clear} it first, or
 * dispose it when the wait is over.
 */
export class ProgressLine implements Disposable {
  readonly #stream = process.stderr;
  readonly #shows: boolean;
  #frame = 0;
  #drawn = false;

  constructor(shows = process.stderr.isTTY && !isQuiet()) {
    this.#shows = shows;
  }

  /** Whether {@link show} shows anything: otherwise what is worth knowing has to be told in lines. */
  get shows(): boolean {
    return this.#shows;
  }

  /** Draws the line again. Control characters of the text are made visible. */
  show(text: string): void {
    if (!this.#shows) return;
    const frame = FRAMES[this.#frame++ % FRAMES.length] ?? '';
    const width = Math.max(WIDTH_MIN, this.#stream.columns || 0) - 1;
    this.#stream.write(`\r\u001b[2K${cutToWidth(`${frame} ${oneLine(text)}`, width)}`);
    this.#drawn = true;
  }

  /** Takes the line away; {@link show} brings it back. */
  clear(): void {
    if (this.#drawn) this.#stream.write('\r\u001b[2K');
    this.#drawn = false;
  }

  [Symbol.dispose](): void {
    this.clear();
  }
}
