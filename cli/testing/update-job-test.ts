/** `weir test --update`: what came becomes what is expected, in the file as somebody wrote it. */
import type { Pair, YAMLMap } from 'yaml';
import { isCollection, isMap, isNode, isScalar, parseDocument, stringify } from 'yaml';
import type { JobTestStep } from '../../core/job/job-test.ts';

const keys = ['expect', 'deadLetters', 'watermark', 'late'] as const;

/** A piece of the text and what stands there instead. */
interface Change {
  readonly from: number;
  readonly to: number;
  readonly text: string;
}

/**
 * The text with other expectations: `steps` by the index of their test. Nothing else changes, down to the spaces; of a
 * list that is replaced the comments go.
 */
export function withExpectations(text: string, steps: ReadonlyMap<number, readonly JobTestStep[]>): string {
  const document = parseDocument(text);
  const changes = [...steps].flatMap(([test, observed]) =>
    observed.flatMap((step, index) => {
      const node = document.getIn(['tests', test, 'steps', index], true);
      return isMap(node) ? changesOf(text, node, step) : [];
    }),
  );
  // From the end on, so that places before it stay.
  return changes
    .toSorted((a, b) => b.from - a.from)
    .reduce((now, { from, to, text: instead }) => now.slice(0, from) + instead + now.slice(to), text);
}

function changesOf(text: string, node: YAMLMap, step: JobTestStep): Change[] {
  const changes: Change[] = [];
  for (const key of keys) {
    const value = step[key];
    const pair = node.items.find((item) => isScalar(item.key) && item.key.value === key);
    if (value === undefined || (pair !== undefined && isSame(pair, value))) continue;
    const [from, to] = pair === undefined ? endOf(text, node) : rangeOf(text, pair);
    const indent = ' '.repeat(columnOf(text, node));
    const written = node.flow === true ? ` ${inLine(value)}` : belowKey(value, indent);
    if (pair !== undefined) changes.push({ from, to, text: `:${written}` });
    else if (node.flow !== true) changes.push({ from, to, text: `\n${indent}${key}:${written}` });
    else changes.push({ from, to, text: `${node.items.length === 0 ? ' ' : ', '}${key}:${written} ` });
  }
  return changes;
}

function isSame({ value: node }: Pair, value: unknown): boolean {
  const there = isCollection(node) ? (node.toJSON() as unknown) : isScalar(node) ? node.value : undefined;
  return JSON.stringify(there) === JSON.stringify(value);
}

/** From behind the key to the end of the value. */
function rangeOf(text: string, { key, value }: Pair): readonly [number, number] {
  const from = (isNode(key) ? key.range?.[1] : undefined) ?? 0;
  const end = (isNode(value) ? value.range?.[1] : undefined) ?? from + 1;
  return [from, trimmed(text, end)];
}

/** Where another key of the map goes. */
function endOf(text: string, node: YAMLMap): readonly [number, number] {
  const end = node.range?.[1] ?? 0;
  const at = trimmed(text, node.flow === true ? end - 1 : end);
  return [at, node.flow === true ? end - 1 : at];
}

/** The end without the white space before it: a list in lines ends behind its last line break. */
function trimmed(text: string, end: number): number {
  return text.slice(0, end).trimEnd().length;
}

function columnOf(text: string, node: YAMLMap): number {
  const start = node.range?.[0] ?? 0;
  return start - (text.lastIndexOf('\n', start - 1) + 1);
}

/** Rows stand below each other, a line each; where there is none the brackets say so. */
function belowKey(value: unknown, indent: string): string {
  if (!Array.isArray(value) || value.length === 0) return ` ${inLine(value)}`;
  return value.map((row) => `\n${indent}  - ${inLine(row)}`).join('');
}

function inLine(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trimEnd();
}
