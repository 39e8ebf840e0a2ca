import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Shown } from './shown.ts';

interface Line {
  readonly at: number;
  readonly process: string;
}

function make(tail: number): { readonly shown: Shown<Line>; readonly texts: string[] } {
  const texts: string[] = [];
  const keyOf = ({ process, at }: Line): string => `${process}${at}`;
  const shown = new Shown<Line>({
    tail,
    show: (line) => texts.push(keyOf(line)),
    keyOf,
    clockOf: ({ process }) => process,
  });
  return { shown, texts };
}

const line = (process: string, at: number): Line => ({ process, at });

test('a process whose clock is behind is shown like the others', async () => {
  const { shown, texts } = make(1);
  await shown.open(async () => [line('slow', 5), line('a', 100)]);
  shown.take(line('slow', 6));
  shown.take(line('slow', 4));
  shown.take(line('new', 1));
  assert.deepEqual(texts, ['a100', 'slow6', 'new1']);
});

test('what comes during the first look is shown, be it within the last ones or not', async () => {
  const { shown, texts } = make(0);
  await shown.open(async () => {
    shown.take(line('a', 2));
    shown.take(line('a', 3));
    return [line('a', 1), line('a', 2)];
  });
  assert.deepEqual(texts, ['a2', 'a3']);
});

test('what was shown so long ago that it is forgotten does not come again', async () => {
  const { shown, texts } = make(10);
  await shown.open(async () => []);
  const all = Array.from({ length: 12_000 }, (_, at) => line('a', at));
  for (const one of all) shown.take(one);
  assert.equal(texts.length, 12_000);
  await shown.open(async () => all);
  assert.equal(texts.length, 12_000);
});
