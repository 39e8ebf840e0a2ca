/** The table of functions: what a query may call, and what every call of a typed tree is compiled by. */
import { assert } from '../../core/assert.ts';
import { conditionalFunctions } from './functions/conditional.ts';
import { hashFunctions } from './functions/hashes.ts';
import { jsonFunctions } from './functions/json.ts';
import { nestedFunctions } from './functions/nested.ts';
import { numberFunctions } from './functions/numbers.ts';
import { operators } from './functions/operators.ts';
import { patternFunctions } from './functions/patterns.ts';
import { stringFunctions } from './functions/strings.ts';
import { timeFunctions } from './functions/times.ts';
import type { FunctionDef } from './function-table.ts';

const definitions: readonly FunctionDef[] = [
  ...operators,
  ...conditionalFunctions,
  ...stringFunctions,
  ...patternFunctions,
  ...numberFunctions,
  ...timeFunctions,
  ...nestedFunctions,
  ...jsonFunctions,
  ...hashFunctions,
];

const byName = new Map<string, FunctionDef>();
for (const definition of definitions) {
  for (const name of [definition.name, ...definition.aliases]) {
    assert(!byName.has(name), () => `two functions are called ${name}`);
    byName.set(name, definition);
  }
}

/** The function of a name or alias, written small. */
export function functionByName(name: string): FunctionDef | undefined {
  return byName.get(name);
}

/** Names that a query may write as a call, aliases included; operators are not. */
export function callableNames(): readonly string[] {
  return [...byName.keys()].filter((name) => /^[a-z]/.test(name) && !operatorWords.has(name));
}

const operatorWords: ReadonlySet<string> = new Set(['and', 'or', 'not', 'in', 'div']);
