/** Marks that users give their jobs, and what selects jobs by them. */
import { z } from 'zod';
import { WeirError } from '../errors.ts';

const KEY = /^[a-z][a-z0-9._/-]{0,62}$/;
const VALUE = /^[A-Za-z0-9._/-]{0,63}$/;
const LABELS_MAX = 32;

/** `labels` of a job file. */
export const labelsSchema = z
  .record(
    z.string().regex(KEY, 'a label is small letters, digits, ".", "_", "/" and "-", at most 63, first a letter'),
    z.string().regex(VALUE, 'a label\'s value is letters, digits, ".", "_", "/" and "-", at most 63'),
  )
  .refine((labels) => Object.keys(labels).length <= LABELS_MAX, `a job has at most ${LABELS_MAX} labels`)
  .describe('Your own marks: weir get jobs -l team=payments; weir apply --prune -l team=payments');

export type Labels = Readonly<Record<string, string>>;

/** One condition; `value` null: the label is there, whatever it says. */
interface Condition {
  readonly key: string;
  readonly value: string | null;
  readonly negated: boolean;
}

/** Conditions that must all hold. */
export type Selector = readonly Condition[];

/** `team=payments,env!=prod,nightly`. Throws: USAGE. */
export function parseSelector(text: string): Selector {
  return text.split(',').map((part) => {
    const [, key = '', operator, value = null] = /^([^=!]+?)(?:(!?=)(.*))?$/.exec(part.trim()) ?? [];
    if (!KEY.test(key) || (value !== null && !VALUE.test(value)))
      throw new WeirError(
        'USAGE',
        `"${part}" selects nothing; write labels as team=payments, env!=prod or nightly, several with commas.`,
      );
    return { key, value, negated: operator === '!=' };
  });
}

export function matchesLabels(selector: Selector, labels: Labels): boolean {
  return selector.every(({ key, value, negated }) => {
    const there = Object.hasOwn(labels, key);
    return negated ? !there || labels[key] !== value : there && (value === null || labels[key] === value);
  });
}
