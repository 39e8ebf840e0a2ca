/** What `npm start` shows: lines that stay, and on a terminal one line below them that changes in place. */
import { oneLine, terminalWidth } from '../output.ts';

export class Screen {
  readonly #terminal = process.stdout.isTTY;
  #live = '';

  /** A line that stays. */
  say(text: string): void {
    this.#clear();
    process.stdout.write(`${text}\n`);
    this.#draw();
  }

  /** True when {@link live} changes one line in place. */
  get inPlace(): boolean {
    return this.#terminal;
  }

  /** Replaces the changing line; without a terminal it is printed and stays. */
  live(text: string): void {
    if (!this.#terminal) {
      process.stdout.write(`${text}\n`);
      return;
    }
    this.#clear();
    const clean = oneLine(text);
    const width = terminalWidth();
    this.#live = clean.length >= width ? `${clean.slice(0, width - 2)}…` : clean;
    this.#draw();
  }

  /** Ends the changing line where it stands. */
  end(): void {
    if (this.#live !== '') process.stdout.write('\n');
    this.#live = '';
  }

  #clear(): void {
    if (this.#live !== '') process.stdout.write('\r\u001b[2K');
  }

  #draw(): void {
    if (this.#live !== '') process.stdout.write(this.#live);
  }
}
