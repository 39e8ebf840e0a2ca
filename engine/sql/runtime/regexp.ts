/**
 * Regular expressions as users write them, in Java's syntax. They run on the platform's engine where its steps are
 * known to be few for the text at hand, and else on a machine whose time grows with text × pattern: no pattern can
 * hold up a worker. Both give the same matches.
 */
import { longestWithin } from './regexp-cost.ts';
import { RegexpMachine, StepCount } from './regexp-machine.ts';
import { parseRegexp, type RegexpNode, type RegexpTree } from './regexp-tree.ts';
import { raiseExpressionFailed } from './runtime.ts';
import { translateRegexp } from './regexp-translate.ts';

/** Steps that the platform's engine may need at worst before the machine is taken. */
const NATIVE_STEPS = 2 ** 22;
/** The same where the machine cannot take over: patterns that look around or refer back. */
const NATIVE_ONLY_STEPS = 2 ** 27;

export interface Match {
  readonly index: number;
  readonly end: number;
  /** Group 0 is the whole match; undefined: the group took no part. */
  readonly groups: readonly (string | undefined)[];
}

/** A pattern on both engines. */
class Search {
  readonly tree: RegexpTree;
  /** Longest text for the platform's engine, in code units. */
  readonly nativeMax: number;
  readonly #native: RegExp;
  readonly #machineRuns: boolean;
  #machine: RegexpMachine | null = null;

  constructor(native: RegExp) {
    this.#native = native;
    this.tree = parseRegexp(native.source, native.flags);
    const { root } = this.tree;
    this.#machineRuns = RegexpMachine.canRun(root);
    if (!this.#machineRuns) this.nativeMax = longestWithin(root, NATIVE_ONLY_STEPS);
    else this.nativeMax = skipsGroups(root, false) ? -1 : longestWithin(root, NATIVE_STEPS);
  }

  test(text: string): boolean {
    if (text.length > this.nativeMax) return this.#running().search(text, 0, new StepCount(), false) !== null;
    this.#native.lastIndex = 0;
    return this.#native.test(text);
  }

  next(text: string, from: number, count: StepCount): Match | null {
    if (text.length > this.nativeMax) return matchOf(text, this.#running().search(text, from, count));
    this.#native.lastIndex = from;
    const match = this.#native.exec(text);
    return match && { index: match.index, end: match.index + match[0].length, groups: match };
  }

  #running(): RegexpMachine {
    if (!this.#machineRuns) return raiseExpressionFailed();
    this.#machine ??= new RegexpMachine(this.tree, this.#native.unicode);
    return this.#machine;
  }
}

/** A compiled pattern. Keeps no state between calls that a caller could see. */
export class Regexp {
  readonly groupCount: number;
  readonly groupNames: ReadonlyMap<string, number>;
  readonly #search: Search;
  /** Tells only whether there is a match. */
  readonly #tester: Search;

  /** The pattern has no characters at all. */
  readonly isEmpty: boolean;

  constructor(search: Search, tester: Search, isEmpty: boolean) {
    this.isEmpty = isEmpty;
    this.groupCount = search.tree.groupCount;
    this.groupNames = search.tree.groupNames;
    this.#search = search;
    this.#tester = tester;
  }

  /** Whether a part of the text matches. Raises for a text too long for a pattern that only backtracking can run. */
  test(text: string): boolean {
    return this.#tester.test(text);
  }

  /** The first match. Raises as {@link test}. */
  first(text: string): Match | null {
    return this.#search.next(text, 0, new StepCount());
  }

  /** All matches from left to right; they do not overlap. Raises as {@link test}. */
  *matches(text: string): Generator<Match, void> {
    const count = new StepCount();
    for (let from = 0; from <= text.length;) {
      const match = this.#search.next(text, from, count);
      if (match === null) return;
      yield match;
      from = match.end;
      if (match.end === match.index) from += (text.codePointAt(from) ?? 0) > 0xffff ? 2 : 1;
    }
  }
}

function matchOf(text: string, slots: Int32Array | null): Match | null {
  if (slots === null) return null;
  const groups: (string | undefined)[] = [];
  for (let slot = 0; slot < slots.length; slot += 2) {
    const end = slots[slot + 1] as number;
    groups.push(end < 0 ? undefined : text.slice(slots[slot], end));
  }
  return { index: slots[0] as number, end: slots[1] as number, groups };
}

/** The compiled pattern, or what is wrong with it, as the end of a sentence. */
export function compileRegexp(pattern: string): Regexp | string {
  const translated = translateRegexp(pattern);
  if (typeof translated === 'string') return translated;
  const native = nativeOf(translated.source, translated.flags);
  if (typeof native === 'string') return native;
  const search = new Search(native);
  if (search.nativeMax !== 0 || RegexpMachine.canRun(search.tree.root))
    return new Regexp(search, testerOf(native, search), pattern === '');
  return 'it repeats what repeats already and can take for ever on some texts; write it with one repetition, or without (?=…), (?<=…) and \\1, or with smaller numbers in {…}';
}

/** Whether anything matches does not depend on any text around it: `.*` at either end is left out. */
function testerOf(native: RegExp, search: Search): Search {
  const { source, flags } = native;
  if (search.tree.root.kind !== 'sequence' || !/^\.\*|\.\*$/.test(source)) return search;
  const needed = source.replace(/^(?:\.\*\??)+/, '').replace(/(?<!\\)(?:\.\*\??)+$/, '');
  return new Search(new RegExp(needed, flags));
}

function nativeOf(source: string, flags: string): RegExp | string {
  try {
    return new RegExp(source, `gu${flags}`);
  } catch {
    // Java allows some escapes that the flag u does not.
    try {
      return new RegExp(source, `g${flags}`);
    } catch (error) {
      return error instanceof SyntaxError
        ? error.message.replace(/^Invalid regular expression: /, '')
        : 'it cannot be compiled';
    }
  }
}

/**
 * Whether a round of a repetition may leave a group out: Java then keeps what the round before found, the platform's
 * engine forgets it.
 */
function skipsGroups(node: RegexpNode, repeated: boolean): boolean {
  switch (node.kind) {
    case 'group':
      return skipsGroups(node.item, repeated);
    case 'sequence':
      return node.items.some((item) => skipsGroups(item, repeated));
    case 'choice':
      return node.items.some((item) => (repeated ? hasGroup(item) : skipsGroups(item, false)));
    case 'repeat':
      if (repeated && node.min === 0) return hasGroup(node.item);
      return skipsGroups(node.item, repeated || node.max > 1);
    default:
      return false;
  }
}

function hasGroup(node: RegexpNode): boolean {
  switch (node.kind) {
    case 'group':
      return true;
    case 'sequence':
    case 'choice':
      return node.items.some(hasGroup);
    case 'repeat':
      return hasGroup(node.item);
    default:
      return false;
  }
}

const PATTERNS_KEPT = 256;
const regexps = new Map<string, Regexp>();

/** For patterns that come out of columns. Raises on a wrong one. */
export function regexpOf(pattern: string): Regexp {
  const known = regexps.get(pattern);
  if (known !== undefined) return known;
  const compiled = compileRegexp(pattern);
  if (typeof compiled === 'string') return raiseExpressionFailed();
  if (regexps.size >= PATTERNS_KEPT) regexps.clear();
  regexps.set(pattern, compiled);
  return compiled;
}

// ---- functions --------------------------------------------------------------------------------------------------

export function regexpLike(text: string, regexp: Regexp): boolean {
  return regexp.test(text);
}

/** The first match's group: '' when nothing matches or the group took no part. Raises for a group that is not there. */
export function regexpExtract(text: string, regexp: Regexp, group: number): string {
  const match = regexp.first(text);
  if (match === null) return '';
  if (group < 0 || group > regexp.groupCount) return raiseExpressionFailed();
  return match.groups[group] ?? '';
}

export function regexpExtractAll(text: string, regexp: Regexp, group: number): readonly string[] {
  return Array.from(regexp.matches(text), ({ groups }) => {
    if (group < 0 || group > regexp.groupCount) return raiseExpressionFailed();
    return groups[group] ?? '';
  });
}

export function regexpCount(text: string, regexp: Regexp): number {
  let count = 0;
  for (const _ of regexp.matches(text)) count++;
  return count;
}

/** The first match; an empty one counts for none. */
export function regexpSubstr(text: string, regexp: Regexp): string | null {
  return regexp.first(text)?.groups[0] || null;
}

/** Position of the first match in characters from 1, 0 when there is none. */
export function regexpInstr(text: string, regexp: Regexp): number {
  const match = regexp.first(text);
  return match === null ? 0 : Array.from(text.slice(0, match.index)).length + 1;
}

/** A replacement as Java reads it: `$1`, `${name}`, `\` takes the next character as it is. */
export function regexpReplace(text: string, regexp: Regexp, replacement: string, position: number): string {
  if (position < 1) return raiseExpressionFailed();
  const from = position === 1 ? 0 : [...text].slice(0, position - 1).join('').length;
  const tail = text.slice(from);
  const isPlain = !/[$\\]/.test(replacement);
  let result = text.slice(0, from);
  let at = 0;
  for (const match of regexp.matches(tail)) {
    result += tail.slice(at, match.index) + (isPlain ? replacement : expand(replacement, match, regexp));
    at = match.end;
  }
  return result + tail.slice(at);
}

function expand(replacement: string, { groups }: Match, { groupNames, groupCount }: Regexp): string {
  return replacement.replace(
    /\\([\s\S])|\$\{(\w+)\}|\$(\d+)|[$\\]/g,
    (_, escaped?: string, name?: string, digits?: string) => {
      if (escaped !== undefined) return escaped;
      if (name !== undefined) return groups[groupNames.get(name) ?? raiseExpressionFailed()] ?? '';
      if (digits === undefined) return raiseExpressionFailed();
      // As many digits as name a group: $12 is group 1 and a 2 where there is no group 12.
      for (let length = digits.length; length > 0; length--) {
        const group = Number(digits.slice(0, length));
        if (group <= groupCount) return (groups[group] ?? '') + digits.slice(length);
      }
      return raiseExpressionFailed();
    },
  );
}

/** Java's String.split with Spark's limit: above 0 at most so many parts, else all, empty ones at the end included. */
export function splitText(text: string, regexp: Regexp, limit: number): readonly string[] {
  const parts: string[] = [];
  let from = 0;
  for (const { index, end } of regexp.matches(text)) {
    if (limit > 0 && parts.length === limit - 1) break;
    // A match of nothing gives no empty part at the beginning; the empty pattern cuts between characters alone.
    if (index === end && (index === 0 || (regexp.isEmpty && index >= text.length))) continue;
    parts.push(text.slice(from, index));
    from = end;
  }
  parts.push(text.slice(from));
  return parts;
}
