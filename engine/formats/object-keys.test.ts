import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ALL_KNOWN, ObjectKeys } from './object-keys.ts';

function unexpected(known: readonly string[], text: string): string | null {
  const bytes = new TextEncoder().encode(`x${text}y`);
  return new ObjectKeys(known).unexpected(bytes, 1, bytes.byteLength - 1);
}

test('the first key that is not expected, as JSON.parse finds it', () => {
  const names = ['id', 'name', 'a"b', 'ü', '__proto__', '', 'tags'];
  const key = fc.oneof(fc.constantFrom(...names), fc.string({ unit: 'grapheme' }));
  const blank = fc.constantFrom('', ' ', '\n\t');
  const one = fc.tuple(fc.tuple(key, fc.jsonValue(), blank, fc.boolean()), fc.array(fc.boolean()));
  fc.assert(
    fc.property(fc.array(one), fc.subarray(names), (entries, known) => {
      const members = entries.map(([[name, value, gap, escaped]]) => {
        const text = escaped
          ? `"${[...name]
              .map((c) =>
                [...c]
                  .flatMap((x) => x.split(''))
                  .map((u) => `\\u${u.charCodeAt(0).toString(16).padStart(4, '0')}`)
                  .join(''),
              )
              .join('')}"`
          : JSON.stringify(name);
        return `${gap}${text}${gap}:${gap}${JSON.stringify(value, null, gap === '' ? 0 : 1)}${gap}`;
      });
      const expected = entries.map(([[name]]) => name).find((name) => !known.includes(name)) ?? ALL_KNOWN;
      assert.equal(unexpected(known, `{${members.join(',')}}`), expected);
    }),
    { numRuns: 500 },
  );
});

test('one walker for objects whose keys come in other orders', () => {
  const keys = new ObjectKeys(['a', 'b', 'c']);
  const walk = (text: string): string | null => keys.unexpected(new TextEncoder().encode(text), 0, text.length);
  for (const text of ['{"a":1,"b":2,"c":3}', '{"c":3,"a":1}', '{}', '{"b":{"d":1},"a":[{"e":2}]}'])
    assert.equal(walk(text), ALL_KNOWN, text);
  assert.deepEqual(
    [0, 1, 2].map((index) => keys.wasSeen(index)),
    [true, true, false],
  );
  assert.equal(walk('{"a":1,"d":2}'), 'd');
  keys.add('d');
  assert.equal(walk('{"a":1,"d":2}'), ALL_KNOWN);
});

test('what is no object is for others to refuse', () => {
  for (const text of ['', '[1]', '"id"', '{"id"', '{"id":', '{"id":1', '{"id" 1}', '{id:1}', '{"id":1,}', 'null'])
    assert.equal(unexpected(['id'], text), ALL_KNOWN, text);
});
