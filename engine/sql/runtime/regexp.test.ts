import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { compileRegexp, Regexp, regexpExtract, regexpReplace, splitText } from './regexp.ts';
import { longestWithin } from './regexp-cost.ts';
import { RegexpMachine, StepCount } from './regexp-machine.ts';
import { EvalFailure } from './runtime.ts';
import { parseRegexp, type RegexpNode } from './regexp-tree.ts';
import { translateRegexp } from './regexp-translate.ts';

function compiled(pattern: string): Regexp {
  const regexp = compileRegexp(pattern);
  assert.ok(regexp instanceof Regexp, `${pattern}: ${String(regexp)}`);
  return regexp;
}

/** What the machine does in some tens of milliseconds. */
const STEPS_MAX = 2 ** 24;

suite('patterns that backtracking could take for ever on', () => {
  const evil: readonly (readonly [pattern: string, unit: string])[] = [
    ['^(a+)+$', 'a'],
    ['(a|a)*b', 'a'],
    ['(.*a){20}', 'b'],
    ['(.*a){20}', 'a'],
    ['a*a*a*a*b', 'a'],
    ['(a|aa)+$', 'a'],
    ['(a?){30}a{30}', 'b'],
    ['([a-zA-Z]+)*$', 'a'],
    ['^(\\d+)*x', '1'],
    ['(x+x+)+y', 'x'],
    ['\\s*,\\s*$', ' '],
    ['(\\w+\\s?)*:', 'a '],
    ['.*z', 'a'],
    ['\\d+-', '1'],
  ];
  for (const [pattern, unit] of evil) {
    test(`${pattern} on 100 kB of ${JSON.stringify(unit)}`, () => {
      const text = `${unit.repeat(100_000 / unit.length)}!`;
      const machine = new RegexpMachine(parseRegexp(pattern, 'u'), true);
      const count = new StepCount();
      const found = machine.search(text, 0, count, false);
      assert.ok(count.steps <= Math.min(STEPS_MAX, 2 * machine.size * (text.length + 1)), `${count.steps} steps`);
      // The platform's engine must not be asked.
      assert.ok(longestWithin(parseRegexp(pattern, 'u').root, STEPS_MAX) < text.length);
      assert.equal(compiled(pattern).test(text), found !== null);
    });
  }

  test('a search from match to match that looks at the whole rest each time ends with a failure', () => {
    const machine = new RegexpMachine(parseRegexp('a*b|a', 'u'), true);
    const text = 'a'.repeat(1000);
    const count = new StepCount(100_000);
    assert.throws(() => {
      for (let from = 0; from < text.length; from++) machine.search(text, from, count);
    }, EvalFailure);
  });

  test('looking around and back are refused where nothing bounds the steps', () => {
    for (const pattern of ['(a+)+\\1', '(?=(a+)+$)b', '((a|b)*c)*(?!d)'])
      assert.match(String(compileRegexp(pattern)), /can take for ever/);
  });

  test('a bounded pattern that looks around fails for texts that are too long for it', () => {
    const password = compiled('^(?=.*\\d)(?=.*[a-z])(?=.*[A-Z]).{8,}$');
    assert.equal(password.test('Secret-1234'), true);
    assert.equal(password.test('secret-1234'), false);
    assert.equal(compiled('(\\w+) \\1').test('twice twice'), true);
  });
});

suite('both engines find the same', () => {
  const atom = fc.constantFrom(
    'a',
    'b',
    '.',
    '[ab]',
    '[^a]',
    '\\w',
    '\\b',
    '(?:a|b)',
    '(a)',
    '(b|ab)',
    '(?:ab)',
    '^',
    '$',
    'é',
    '😀',
  );
  const quantifier = fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,3}', '*?', '+?', '??');
  const piece = fc.tuple(atom, quantifier).map(([item, times]) => item + (/^[\^$]$|^\\b$/.test(item) ? '' : times));
  const sequence = fc.array(piece, { minLength: 1, maxLength: 4 }).map((pieces) => pieces.join(''));
  const pattern = fc.array(sequence, { minLength: 1, maxLength: 3 }).map((choices) => choices.join('|'));
  const text = fc
    .array(fc.constantFrom('a', 'b', 'c', ' ', '\n', 'é', '😀'), { maxLength: 8 })
    .map((parts) => parts.join(''));

  test('matches and groups', () => {
    fc.assert(
      fc.property(pattern, text, (source, input) => {
        const native = new RegExp(source, 'gu');
        const machine = new RegexpMachine(parseRegexp(source, 'gu'), true);
        const expected = native.exec(input);
        const slots = machine.search(input, 0, new StepCount());
        const groups: (string | undefined)[] = [];
        for (let slot = 0; slot < (slots?.length ?? 0); slot += 2)
          groups.push((slots?.[slot + 1] ?? -1) < 0 ? undefined : input.slice(slots?.[slot], slots?.[slot + 1]));
        assert.deepEqual(slots && groups, expected && [...expected], `${source} on ${JSON.stringify(input)}`);
        assert.equal(machine.search(input, 0, new StepCount(), false) !== null, expected !== null);
      }),
      { numRuns: 1000 },
    );
  });

  test('the bound on steps is above what backtracking takes', () => {
    const input = fc
      .array(fc.constantFrom('a', 'a', 'a', 'b', ' '), { minLength: 1, maxLength: 16 })
      .map((parts) => parts.join(''));
    fc.assert(
      fc.property(pattern, input, (source, line) => {
        const { root } = parseRegexp(source, 'gu');
        const steps = backtrackingSteps(root, line);
        const longest = longestWithin(root, steps / STEPS_PER_STEP);
        assert.ok(longest < line.length || longest === Infinity, `${source} on ${line}: ${steps} steps`);
        if (longest === Infinity) assert.ok(steps <= 40 * source.length * (line.length + 1), `${source} on ${line}`);
      }),
      { numRuns: 500 },
    );
  });

  test('the bound tells linear patterns from others', () => {
    assert.equal(longestWithin(parseRegexp('error|warn', 'u').root, 1), Infinity);
    assert.equal(longestWithin(parseRegexp('^\\d+-\\d+$', 'u').root, 1), Infinity);
    assert.ok(longestWithin(parseRegexp('a+b', 'u').root, 1e6) < 1000);
    assert.ok(longestWithin(parseRegexp('a*a*b', 'u').root, 1e6) < 100);
    assert.equal(longestWithin(parseRegexp('(a+)+', 'u').root, 1e6), 0);
  });
});

/** What the reference below counts for one step of the estimate: it counts the ends of repetitions too. */
const STEPS_PER_STEP = 4;

/** Steps of a plain backtracking engine that goes from match to match. */
function backtrackingSteps(root: RegexpNode, text: string): number {
  const chars = [...text];
  let steps = 0;
  type Next = (at: number) => boolean;
  const run = (node: RegexpNode, at: number, next: Next): boolean => {
    steps++;
    switch (node.kind) {
      case 'set':
        return at < chars.length && node.set.has(chars[at]?.codePointAt(0) ?? 0) && next(at + 1);
      case 'group':
        return run(node.item, at, next);
      case 'choice':
        return node.items.some((item) => run(item, at, next));
      case 'sequence': {
        const from = (index: number, place: number): boolean => {
          const item = node.items[index];
          return item === undefined ? next(place) : run(item, place, (end) => from(index + 1, end));
        };
        return from(0, at);
      }
      case 'repeat': {
        const round = (count: number, place: number): boolean => {
          steps++;
          const on = (): boolean =>
            count < node.max &&
            run(node.item, place, (end) => (end > place || count < node.min) && round(count + 1, end));
          const out = (): boolean => count >= node.min && next(place);
          return node.greedy ? on() || out() : out() || on();
        };
        return round(0, at);
      }
      case 'assert':
        if (node.what === 'start') return at === 0 && next(at);
        return node.what === 'end' ? at === chars.length && next(at) : next(at);
      default:
        return false;
    }
  };
  for (let from = 0; from <= chars.length;) {
    let end = -1;
    run(root, from, (at) => {
      end = at;
      return true;
    });
    from = end > from ? end : from + 1;
    if (steps > 1e6) break;
  }
  return steps;
}

suite("Java's syntax", () => {
  const matches: readonly (readonly [pattern: string, text: string, expected: boolean])[] = [
    ['abc$', 'abc\n', true],
    ['abc$', 'abc\nd', false],
    ['(?m)abc$', 'abc\nd', true],
    ['\\Aabc\\z', 'abc\n', false],
    ['\\Qa.b\\E', 'a.b', true],
    ['\\Qa.b\\E', 'axb', false],
    ['^[\\w-.]+$', 'a-b.c', true],
    ['^[a-c[x-z]]+$', 'abz', true],
    ['^[]a]+$', ']a', true],
    ['^\\p{Alpha}+$', 'abc', true],
    ['^\\p{IsAlphabetic}+$', 'äß', true],
    ['^\\p{L}+$', 'äß', true],
    ['^\\P{Digit}+$', 'ab1', false],
    ['^[^\\s,]+$', 'ab', true],
    ['\\x41\\0102\\x{43}', 'ABC', true],
    ['a\\Rb', 'a\r\nb', true],
    ['^\\h+$', ' \t', true],
    ['(?i)ABC', 'xabcx', true],
    ['(?i:A)bc', 'aBC', false],
    ['(?<year>\\d{4})-\\k<year>', '2024-2024', true],
    ['.*error.*', 'an error\nhere', true],
    ['.*error\\.*', 'an error', true],
    ['a}', 'a}', true],
  ];
  for (const [pattern, text, expected] of matches)
    test(`${pattern} ${expected ? 'matches' : 'does not match'} ${JSON.stringify(text)}`, () =>
      assert.equal(compiled(pattern).test(text), expected));

  const refused: readonly (readonly [pattern: string, why: RegExp])[] = [
    ['a++', /possessive/],
    ['(?>a)', /\(\?>…\)/],
    ['[a-z&&[^b]]', /\[a-z&&\[\^x\]\]/],
    ['a{', /begins no repetition/],
    ['(?x)a b', /flag x/],
    ['a(?i)b', /flags stand only/],
    ['\\Xa', /\\X means nothing/],
    ['[a', /not closed/],
    ['a\\', /single/],
    ['(', /group/i],
  ];
  for (const [pattern, why] of refused)
    test(`${pattern} is refused`, () => assert.match(String(compileRegexp(pattern)), why));

  test('a group keeps what an earlier round of a repetition found', () => {
    assert.equal(regexpExtract('ab', compiled('(?:(a)|b)*'), 1), 'a');
    assert.equal(regexpExtract('key=1;', compiled('(?:(\\w+)=(\\d+)?;?)+'), 2), '1');
  });

  test('long and short texts give the same parts', () => {
    const regexp = compiled('\\s*,\\s*');
    const parts = Array.from({ length: 2000 }, (_, index) => `part ${index}`);
    assert.deepEqual(splitText(parts.join(' , '), regexp, -1), parts);
    assert.equal(regexpReplace(parts.join(' , '), regexp, '<$0>', 1), parts.join('< , >'));
  });

  test('translations keep the flags the platform has', () => {
    assert.deepEqual(translateRegexp('(?isu)a'), { source: 'a', flags: 'is' });
  });
});
