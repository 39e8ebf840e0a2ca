/** What was shown to somebody who follows a cluster, so that each line is shown once, none is missed, and old ones stay away. */

/** Lines that may come again: more than a master keeps. */
const REMEMBERED_MAX = 10_000;

export interface ShownParts<T> {
  /** Of what is there at the first look, so many of the last are shown. */
  readonly tail: number;
  readonly show: (line: T) => void;
  /** Equal for lines that are the same. */
  readonly keyOf: (line: T) => string;
  /**
   * Whose clock a line was written by; null = one whose times say nothing. Lines of one clock come in their order. One that
   * is older than all that were there at the first look is not shown: a master that takes over is sent all that workers
   * still have, which may be more than the one before had.
   */
  readonly clockOf: (line: T) => string | null;
}

export class Shown<T extends { readonly at: number }> {
  readonly #parts: ShownParts<T>;
  readonly #known = new Map<string, T>();
  /** By clock, ms: what is older is not shown. */
  readonly #from = new Map<string, number>();
  /** Lines of the stream, while the look that its beginning asked for goes on. */
  #early: T[] | null = null;
  #looked = false;

  constructor(parts: ShownParts<T>) {
    this.#parts = parts;
  }

  /**
   * A stream has begun; `look` asks for all that is there, oldest first. What comes in the stream meanwhile stands behind
   * it. After the first look all that was missed is shown. Throws what `look` throws.
   */
  async open(look: () => Promise<readonly T[]>): Promise<void> {
    const came: T[] = [];
    this.#early = came;
    const lines = await look();
    // Another stream may have begun: its own look goes on.
    if (this.#early === came) this.#early = null;
    if (this.#looked) for (const line of lines) this.#add(line);
    else this.#lookFirst(lines, new Set(came.map((line) => this.#parts.keyOf(line))));
    for (const line of came) this.#add(line);
  }

  /** A line of the stream. */
  take(line: T): void {
    if (this.#early === null) this.#add(line);
    else this.#early.push(line);
  }

  #add(line: T): void {
    if (this.#remember(line)) this.#parts.show(line);
  }

  #lookFirst(lines: readonly T[], came: ReadonlySet<string>): void {
    const { tail, show, keyOf, clockOf } = this.#parts;
    this.#looked = true;
    for (const line of lines) {
      const clock = clockOf(line);
      if (clock !== null) this.#from.set(clock, Math.min(line.at, this.#from.get(clock) ?? line.at));
    }
    for (const [index, line] of lines.entries())
      if (this.#remember(line) && (index >= lines.length - tail || came.has(keyOf(line)))) show(line);
  }

  /** Whether it is new. */
  #remember(line: T): boolean {
    const { keyOf, clockOf } = this.#parts;
    const [key, clock] = [keyOf(line), clockOf(line)];
    if (this.#known.has(key) || (clock !== null && line.at < (this.#from.get(clock) ?? 0))) return false;
    this.#known.set(key, line);
    if (this.#known.size > REMEMBERED_MAX) this.#forgetOldest();
    return true;
  }

  #forgetOldest(): void {
    for (const [key, line] of this.#known) {
      this.#known.delete(key);
      const clock = this.#parts.clockOf(line);
      if (clock !== null) this.#from.set(clock, Math.max(line.at + 1, this.#from.get(clock) ?? 0));
      return;
    }
  }
}
