/**
 * Regular expressions in time that grows with text × pattern: all ways through the pattern are followed at once, in
 * the order in which a backtracking engine would try them (Pike's machine, as Thompson's construction feeds it).
 */
import type { Assertion, CharSet, RegexpNode, RegexpTree } from './regexp-tree.ts';
import { raiseExpressionFailed } from './runtime.ts';

/** Instructions of one pattern: repetitions with bounds are written out. */
const PROGRAM_MAX = 4096;
/** Some tenths of a second. */
const STEPS_MAX = 2 ** 26;

const SET = 0;
const SPLIT = 1;
const JUMP = 2;
const SAVE = 3;
const ASSERT = 4;
const MATCH = 5;

/** Counts what a call does, over all its searches. Deterministic: whether a record fails depends on it alone. */
export class StepCount {
  steps = 0;
  /** Steps that the call may take beyond a single pass over the text. */
  readonly max: number;

  constructor(max = STEPS_MAX) {
    this.max = max;
  }
}

export class RegexpMachine {
  readonly #op: number[] = [];
  /** SET: index of the set; SPLIT: preferred target; JUMP: target; SAVE: slot; ASSERT: index. */
  readonly #x: number[] = [];
  /** SPLIT: the other target. */
  readonly #y: number[] = [];
  readonly #sets: CharSet[] = [];
  readonly #asserts: Assertion[] = [];
  readonly #slots: number;
  readonly #unicode: boolean;
  readonly #now: Threads;
  readonly #next: Threads;
  /** Groups of the place that is being followed. */
  readonly #values: Int32Array;
  /** Work of {@link #add}: places to visit, and slots to set back (slot, value) behind them. */
  readonly #stack: number[] = [];

  constructor(tree: RegexpTree, unicode: boolean) {
    this.#unicode = unicode;
    this.#slots = 2 * (tree.groupCount + 1);
    this.#emitGroup(0, tree.root);
    this.#push(MATCH, 0, 0);
    this.#values = new Int32Array(this.#slots);
    this.#now = new Threads(this.#op.length, this.#slots);
    this.#next = new Threads(this.#op.length, this.#slots);
  }

  /** Whether the machine can run the pattern: it cannot look around or back, and holds so many instructions only. */
  static canRun(root: RegexpNode): boolean {
    return sizeOf(root) <= PROGRAM_MAX;
  }

  get size(): number {
    return this.#op.length;
  }

  /**
   * Starts and ends of the groups of the first match at or behind `from`, -1 where a group took no part; null when
   * there is none. The array is the caller's. `groups` false: only whether there is a match (its content means nothing). Raises when the call has
   * taken too many steps.
   */
  search(text: string, from: number, count: StepCount, groups = true): Int32Array | null {
    const slots = groups ? this.#slots : 0;
    const limit = count.max + (text.length + 1) * this.#op.length;
    let now = this.#now;
    let next = this.#next;
    now.clear();
    let found: Int32Array | null = null;
    const values = this.#values;
    for (let at = from; ;) {
      if (found === null) {
        values.fill(-1);
        this.#add(now, 0, text, at, values, count, slots);
      } else if (now.size === 0) {
        break;
      }
      if (count.steps > limit) raiseExpressionFailed();
      const code = at >= text.length ? -1 : this.#unicode ? (text.codePointAt(at) as number) : text.charCodeAt(at);
      const after = at + (code > 0xffff ? 2 : 1);
      next.clear();
      for (let index = 0; index < now.size; index++) {
        const pc = now.dense[index] as number;
        count.steps++;
        if (this.#op[pc] === MATCH) {
          now.load(pc, values, slots);
          found = values.slice(0, slots);
          // What comes behind would have been tried later.
          break;
        }
        if (code < 0 || !(this.#sets[this.#x[pc] as number] as CharSet).has(code)) continue;
        now.load(pc, values, slots);
        this.#add(next, pc + 1, text, after, values, count, slots);
      }
      if (found !== null && !groups) break;
      if (code < 0) break;
      [now, next] = [next, now];
      at = after;
    }
    return found;
  }

  /** Follows everything that takes no character, the preferred first. `values` is left as it was. */
  #add(
    threads: Threads,
    from: number,
    text: string,
    at: number,
    values: Int32Array,
    count: StepCount,
    slots: number,
  ): void {
    const stack = this.#stack;
    stack.push(from, -1, 0);
    while (stack.length > 0) {
      const value = stack.pop() as number;
      const slot = stack.pop() as number;
      let pc = stack.pop() as number;
      if (slot >= 0) {
        values[slot] = value;
        continue;
      }
      for (;;) {
        if (threads.has(pc)) break;
        threads.insert(pc);
        count.steps++;
        const op = this.#op[pc];
        if (op === JUMP) {
          pc = this.#x[pc] as number;
        } else if (op === SPLIT) {
          stack.push(this.#y[pc] as number, -1, 0);
          pc = this.#x[pc] as number;
        } else if (op === SAVE) {
          const place = this.#x[pc] as number;
          if (place < slots) {
            stack.push(0, place, values[place] as number);
            values[place] = at;
          }
          pc++;
        } else if (op === ASSERT) {
          if (!holds(this.#asserts[this.#x[pc] as number] as Assertion, text, at)) break;
          pc++;
        } else {
          threads.keep(pc, values, slots);
          break;
        }
      }
    }
  }

  // ---- construction -------------------------------------------------------------------------------------------

  #push(op: number, x: number, y: number): number {
    this.#op.push(op);
    this.#x.push(x);
    this.#y.push(y);
    return this.#op.length - 1;
  }

  #emitGroup(index: number, item: RegexpNode): void {
    this.#push(SAVE, 2 * index, 0);
    this.#emit(item);
    this.#push(SAVE, 2 * index + 1, 0);
  }

  #emit(node: RegexpNode): void {
    switch (node.kind) {
      case 'set':
        this.#push(SET, this.#sets.push(node.set) - 1, 0);
        break;
      case 'assert':
        this.#push(ASSERT, this.#asserts.push(node.what) - 1, 0);
        break;
      case 'group':
        this.#emitGroup(node.index, node.item);
        break;
      case 'sequence':
        for (const item of node.items) this.#emit(item);
        break;
      case 'choice':
        this.#emitChoice(node.items);
        break;
      case 'repeat':
        this.#emitRepeat(node);
        break;
      default:
        throw new TypeError('the machine cannot look around');
    }
  }

  #emitChoice(items: readonly RegexpNode[]): void {
    const jumps: number[] = [];
    for (const [index, item] of items.entries()) {
      const isLast = index === items.length - 1;
      const split = isLast ? -1 : this.#push(SPLIT, this.#op.length + 1, 0);
      this.#emit(item);
      if (isLast) continue;
      jumps.push(this.#push(JUMP, 0, 0));
      this.#y[split] = this.#op.length;
    }
    for (const jump of jumps) this.#x[jump] = this.#op.length;
  }

  #emitRepeat({ item, min, max, greedy }: Extract<RegexpNode, { kind: 'repeat' }>): void {
    for (let round = 0; round < min - (max === Infinity ? 1 : 0); round++) this.#emit(item);
    if (max === Infinity && min > 0) {
      const body = this.#op.length;
      this.#emit(item);
      const split = this.#push(SPLIT, 0, 0);
      this.#aim(split, body, split + 1, greedy);
    } else if (max === Infinity) {
      const split = this.#push(SPLIT, 0, 0);
      this.#emit(item);
      this.#push(JUMP, split, 0);
      this.#aim(split, split + 1, this.#op.length, greedy);
    } else {
      const splits: number[] = [];
      for (let round = min; round < max; round++) {
        splits.push(this.#push(SPLIT, 0, 0));
        this.#emit(item);
      }
      for (const split of splits) this.#aim(split, split + 1, this.#op.length, greedy);
    }
  }

  #aim(split: number, on: number, out: number, greedy: boolean): void {
    this.#x[split] = greedy ? on : out;
    this.#y[split] = greedy ? out : on;
  }
}

function sizeOf(node: RegexpNode): number {
  switch (node.kind) {
    case 'set':
    case 'assert':
      return 1;
    case 'group':
      return 2 + sizeOf(node.item);
    case 'sequence':
      return node.items.reduce((sum, item) => sum + sizeOf(item), 0);
    case 'choice':
      return node.items.reduce((sum, item) => sum + sizeOf(item) + 2, 0);
    case 'repeat': {
      const rounds = node.max === Infinity ? Math.max(1, node.min) : node.max;
      return rounds * (sizeOf(node.item) + 1) + 2;
    }
    default:
      return Infinity;
  }
}

/** The places that a character may be taken at, in order of preference, each with its groups so far. */
class Threads {
  readonly dense: Int32Array;
  size = 0;
  readonly #mark: Int32Array;
  #round = 1;
  readonly #values: Int32Array;
  readonly #stride: number;

  constructor(instructions: number, slots: number) {
    this.dense = new Int32Array(instructions);
    this.#mark = new Int32Array(instructions);
    this.#values = new Int32Array(instructions * slots);
    this.#stride = slots;
  }

  clear(): void {
    this.size = 0;
    this.#round++;
    if (this.#round < 0x7fffffff) return;
    this.#mark.fill(0);
    this.#round = 1;
  }

  has(pc: number): boolean {
    return this.#mark[pc] === this.#round;
  }

  insert(pc: number): void {
    this.#mark[pc] = this.#round;
  }

  keep(pc: number, values: Int32Array, slots: number): void {
    this.dense[this.size++] = pc;
    const base = pc * this.#stride;
    for (let slot = 0; slot < slots; slot++) this.#values[base + slot] = values[slot] as number;
  }

  load(pc: number, into: Int32Array, slots: number): void {
    const base = pc * this.#stride;
    for (let slot = 0; slot < slots; slot++) into[slot] = this.#values[base + slot] as number;
  }
}

function isWord(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return (code >= 48 && code <= 57) || (code >= 65 && code <= 90) || code === 95 || (code >= 97 && code <= 122);
}

function isLineBreak(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code === 10 || code === 13 || code === 0x2028 || code === 0x2029;
}

function holds(what: Assertion, text: string, at: number): boolean {
  switch (what) {
    case 'start':
      return at === 0;
    case 'end':
      return at === text.length;
    case 'last':
      return at === text.length || isLastBreak(text, at);
    case 'lineStart':
      return at === 0 || isLineBreak(text, at - 1);
    case 'lineEnd':
      return at === text.length || isLineBreak(text, at);
    case 'word':
    case 'notWord':
      return (isWord(text, at - 1) !== isWord(text, at)) === (what === 'word');
  }
}

function isLastBreak(text: string, at: number): boolean {
  const rest = text.length - at;
  if (rest === 2) return text.charCodeAt(at) === 13 && text.charCodeAt(at + 1) === 10;
  return rest === 1 && (isLineBreak(text, at) || text.charCodeAt(at) === 0x85);
}
