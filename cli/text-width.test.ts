import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cutToWidth, padToWidth, textWidth } from './text-width.ts';

test('letters of East Asia and pictures take two columns, accents of their own none', () => {
  for (const [text, width] of [
    ['', 0],
    ['abc', 3],
    ['Øvre Fjellvei', 13],
    ['陽菜', 4],
    ['한국', 4],
    ['e\u0301t\u0065\u0301', 3],
    ['🚲 ok', 5],
    ['ｗｉｄｅ', 8],
  ] as const)
    assert.equal(textWidth(text), width, text);
});

test('padding and cutting count columns', () => {
  assert.equal(padToWidth('陽菜', 6), '陽菜  ');
  assert.equal(padToWidth('toolong', 3), 'toolong');
  assert.equal(cutToWidth('abcdef', 6), 'abcdef');
  assert.equal(cutToWidth('abcdef', 5), 'abcd…');
  // The third letter would need columns 5 and 6: it is left out as a whole.
  assert.equal(cutToWidth('陽菜子結', 6), '陽菜…');
  assert.equal(textWidth(cutToWidth('陽菜子結', 6)), 5);
});
