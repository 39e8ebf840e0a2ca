/**
 * How many steps the platform's backtracking engine may take for a pattern, as a polynomial in the length of the text:
 * an upper bound by what the pattern looks like. Every place of the text may be a start; from it a repetition may end
 * at any later place, and what follows is tried for each end unless it cannot begin with what is repeated.
 */
import type { CharSet, RegexpNode } from './regexp-tree.ts';

/** Coefficients by power; null: no polynomial is known to suffice. */
type Polynomial = readonly number[] | null;

interface Cost {
  /** Steps from one place. */
  readonly steps: Polynomial;
  /** Ways to get to the end of the node from one place. */
  readonly ways: Polynomial;
}

const DEGREE_MAX = 8;
const COEFFICIENT_MAX = 1e9;
const ONE: Polynomial = [1];
const LENGTH: Polynomial = [1, 1];

function plus(a: Polynomial, b: Polynomial): Polynomial {
  if (a === null || b === null) return null;
  return Array.from({ length: Math.max(a.length, b.length) }, (_, power) => (a[power] ?? 0) + (b[power] ?? 0));
}

function times(a: Polynomial, b: Polynomial): Polynomial {
  if (a === null || b === null || a.length + b.length - 2 > DEGREE_MAX) return null;
  const product = Array.from({ length: a.length + b.length - 1 }, () => 0);
  for (const [i, x] of a.entries()) for (const [j, y] of b.entries()) product[i + j] = (product[i + j] ?? 0) + x * y;
  return product.some((coefficient) => coefficient > COEFFICIENT_MAX) ? null : product;
}

function isOne(polynomial: Polynomial): boolean {
  return polynomial?.length === 1 && polynomial[0] === 1;
}

function costOf(node: RegexpNode): Cost {
  switch (node.kind) {
    case 'set':
    case 'assert':
      return { steps: ONE, ways: ONE };
    case 'backreference':
      return { steps: LENGTH, ways: ONE };
    case 'group':
      return costOf(node.item);
    case 'look':
      return { steps: plus(ONE, costOf(node.item).steps), ways: ONE };
    case 'choice': {
      const costs = node.items.map(costOf);
      return {
        steps: costs.reduce<Polynomial>((sum, { steps }) => plus(sum, steps), ONE),
        ways: costs.reduce<Polynomial>((sum, { ways }) => plus(sum, ways), [0]),
      };
    }
    case 'sequence':
      return costOfSequence(node.items);
    case 'repeat':
      return costOfRepeat(node);
  }
}

function costOfSequence(items: readonly RegexpNode[]): Cost {
  let steps: Polynomial = ONE;
  let ways: Polynomial = ONE;
  for (const [index, item] of items.entries()) {
    const cost = costOf(item);
    steps = plus(steps, times(ways, cost.steps));
    ways = times(ways, endsOnce(item, items.slice(index + 1)) ? ONE : cost.ways);
  }
  return { steps, ways };
}

/** A repetition of one set whose successor cannot begin with a member of it: all but one end fail at once. */
function endsOnce(item: RegexpNode, rest: readonly RegexpNode[]): boolean {
  const inner = item.kind === 'group' ? item.item : item;
  if (inner.kind !== 'repeat' || inner.item.kind !== 'set') return false;
  const first = firstSets(rest);
  const { set } = inner.item;
  return first !== null && first.every((other) => areDisjoint(set, other));
}

function areDisjoint(a: CharSet, b: CharSet): boolean {
  return (a.asciiOnly || b.asciiOnly) && a.ascii.every((has, code) => has === 0 || b.ascii[code] === 0);
}

/** What a match of the sequence begins with; null where that is not known, or where it may be empty. */
function firstSets(items: readonly RegexpNode[]): readonly CharSet[] | null {
  const sets: CharSet[] = [];
  for (const item of items) {
    const first = firstOf(item);
    if (first === null) return null;
    sets.push(...first.sets);
    if (!first.mayBeEmpty) return sets;
  }
  return null;
}

function firstOf(node: RegexpNode): { readonly sets: readonly CharSet[]; readonly mayBeEmpty: boolean } | null {
  switch (node.kind) {
    case 'set':
      return { sets: [node.set], mayBeEmpty: false };
    case 'group':
      return firstOf(node.item);
    case 'repeat': {
      const first = firstOf(node.item);
      return first && { sets: first.sets, mayBeEmpty: first.mayBeEmpty || node.min === 0 };
    }
    case 'sequence': {
      const sets = firstSets(node.items);
      return sets && { sets, mayBeEmpty: false };
    }
    case 'choice': {
      const firsts = node.items.map(firstOf);
      if (firsts.includes(null)) return null;
      return {
        sets: firsts.flatMap((first) => first?.sets ?? []),
        mayBeEmpty: firsts.some((first) => first?.mayBeEmpty === true),
      };
    }
    default:
      return null;
  }
}

function costOfRepeat({ item, min, max }: Extract<RegexpNode, { kind: 'repeat' }>): Cost {
  const one = costOf(item);
  if (isOne(one.ways)) {
    // One way through each round: only the number of rounds is open.
    const rounds: Polynomial = max === Infinity ? [min + 1, 1] : [max + 1];
    return { steps: times(rounds, one.steps), ways: max === Infinity ? LENGTH : [max - min + 1] };
  }
  if (max === Infinity) return { steps: null, ways: null };
  let steps: Polynomial = ONE;
  let ways: Polynomial = min === 0 ? ONE : [0];
  let power: Polynomial = ONE;
  for (let round = 1; round <= max && power !== null && steps !== null; round++) {
    steps = plus(steps, times(power, one.steps));
    power = times(power, one.ways);
    if (round >= min) ways = plus(ways, power);
  }
  return { steps, ways };
}

/** Leaves no way to fail: a repetition that may be empty. */
function cannotFail(node: RegexpNode): boolean {
  return node.kind === 'repeat' ? node.min === 0 : node.kind === 'group' && cannotFail(node.item);
}

/** Steps of a search over all of a text. */
function costOfSearch(root: RegexpNode): Polynomial {
  const items = root.kind === 'sequence' ? root.items : [root];
  const [first] = items;
  // The engine looks at the beginning of the text only where nothing else can match.
  const starts = first?.kind === 'assert' && first.what === 'start' ? ONE : LENGTH;
  // What cannot fail and stands at the end is run once: then the match is complete.
  const needed = items.findLastIndex((item) => !cannotFail(item)) + 1;
  const once = costOfSequence(items.slice(needed)).steps;
  return plus(plus(times(starts, costOfSequence(items.slice(0, needed)).steps), once), LENGTH);
}

/**
 * The longest text (in code units) on which a search over all of it, from match to match, takes at most `steps` steps;
 * Infinity when steps grow no faster than the text.
 */
export function longestWithin(root: RegexpNode, steps: number): number {
  const total = costOfSearch(root);
  if (total === null) return 0;
  if (total.length <= 2) return Infinity;
  const at = (length: number): number => total.reduceRight((sum, coefficient) => sum * length + coefficient, 0);
  let low = 0;
  let high = 2 ** 30;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (at(middle) <= steps) low = middle;
    else high = middle - 1;
  }
  return low;
}
