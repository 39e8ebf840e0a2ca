/**
 * Paths into documents, as far as scripts need them and in the spelling that kubectl's -o jsonpath= has: `{.jobs[*].lag}`,
 * `.row.state`, `$.jobs[0]['row'].name`, `[-1]` for the last. Filters, ranges and text around are a job for jq.
 */
import { WeirError } from '../core/errors.ts';

/** What is there, in the order of the document; nothing where a part is missing. */
export type JsonPath = (document: unknown) => readonly unknown[];

const step = /^(?:\.([\w-]+)|\[(-?\d+|\*)\]|\['([^']*)'\]|\.(\*))/;

/** Throws: USAGE. */
export function parseJsonPath(text: string): JsonPath {
  const inner = (/^\{(.*)\}$/s.exec(text)?.[1] ?? text).replace(/^\$/, '');
  const steps: ((value: unknown) => readonly unknown[])[] = [];
  for (let rest = inner.startsWith('.') || inner.startsWith('[') || inner === '' ? inner : `.${inner}`; rest !== '';) {
    const found = rest === '.' ? null : step.exec(rest);
    if (found === null && rest === '.') break;
    if (found === null)
      throw new WeirError(
        'USAGE',
        `The path ${text} is not understood at "${rest}"; there are .name, ['name'], [0], [-1] and [*]. For more: -o json | jq.`,
      );
    const [whole, name, index, quoted, star] = found;
    rest = rest.slice(whole.length);
    const key = name ?? quoted;
    if (key !== undefined) steps.push((value) => member(value, key));
    else if (star !== undefined || index === '*') steps.push(every);
    else steps.push((value) => place(value, Number(index)));
  }
  return (document) => steps.reduce<readonly unknown[]>((values, take) => values.flatMap(take), [document]);
}

function member(value: unknown, key: string): readonly unknown[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, key)) return [];
  return [(value as Readonly<Record<string, unknown>>)[key]];
}

function every(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  return typeof value === 'object' && value !== null ? Object.values(value) : [];
}

function place(value: unknown, index: number): readonly unknown[] {
  const found: unknown = Array.isArray(value) ? value.at(index) : undefined;
  return found === undefined ? [] : [found];
}
