/** The table of functions: what a query may call, and what every call of a typed tree is compiled by. */
import { assert } from '../../core/assert.ts';
import { customFunction, type FunctionDef } from './function-table.ts';
import { arrayFunctions } from './functions/arrays.ts';
import { characterFunctions } from './functions/characters.ts';
import { conditionalFunctions } from './functions/conditional.ts';
import { epochTimeFunctions } from './functions/epoch-times.ts';
import { formatFunctions } from './functions/formats.ts';
import { hashFunctions } from './functions/hashes.ts';
import { intervalFunctions } from './functions/intervals.ts';
import { jsonFunctions } from './functions/json.ts';
import { lambdaFunctions } from './functions/lambdas.ts';
import { mapFunctions } from './functions/maps.ts';
import { nestedFunctions } from './functions/nested.ts';
import { numberFormatFunctions } from './functions/number-formats.ts';
import { numberFunctions } from './functions/numbers.ts';
import { operators } from './functions/operators.ts';
import { patternFunctions } from './functions/patterns.ts';
import { type RefusedFunction, refusedFunctions } from './functions/refused.ts';
import { stringFunctions } from './functions/strings.ts';
import { timeArithmeticFunctions } from './functions/time-arithmetic.ts';
import { timePartFunctions } from './functions/time-parts.ts';
import { timePatternFunctions } from './functions/time-patterns.ts';
import { zonedTimeFunctions } from './functions/time-zones.ts';
import { urlFunctions } from './functions/urls.ts';

/** Functions and operators, each once, in the order of their groups. */
export const scalarFunctions: readonly FunctionDef[] = [
  ...operators,
  ...conditionalFunctions,
  ...stringFunctions,
  ...characterFunctions,
  ...urlFunctions,
  ...patternFunctions,
  ...numberFunctions,
  ...numberFormatFunctions,
  ...timePartFunctions,
  ...timeArithmeticFunctions,
  ...timePatternFunctions,
  ...epochTimeFunctions,
  ...zonedTimeFunctions,
  ...intervalFunctions,
  ...nestedFunctions,
  ...arrayFunctions,
  ...mapFunctions,
  ...lambdaFunctions,
  ...jsonFunctions,
  ...formatFunctions,
  ...hashFunctions,
];

const byName = new Map<string, FunctionDef>();
for (const definition of scalarFunctions) {
  for (const name of [definition.name, ...definition.aliases]) {
    assert(!byName.has(name), () => `two functions are called ${name}`);
    byName.set(name, definition);
  }
}

const refusedByName = new Map<string, FunctionDef>();
for (const refused of refusedFunctions) {
  for (const name of refused.names) {
    assert(!byName.has(name), () => `${name} is offered and refused`);
    refusedByName.set(name, refusal(name, refused));
  }
}

/** A function that fits no arguments and says what to write instead. */
function refusal(name: string, { group, why, instead }: RefusedFunction): FunctionDef {
  const definition = customFunction({
    name,
    group,
    usage: instead,
    about: why,
    type: () => ({ complaint: why }),
    emit: () => {
      throw new TypeError(`${name} is not offered`);
    },
  });
  return { ...definition, instead };
}

/** The function of a name or alias, written small; those that are known and not offered too. */
export function functionByName(name: string): FunctionDef | undefined {
  return byName.get(name) ?? refusedByName.get(name);
}

/** Names that a query may write as a call, aliases included; operators are not. */
export function callableNames(): readonly string[] {
  return [...byName.keys()].filter((name) => /^[a-z]/.test(name) && !operatorWords.has(name));
}

const operatorWords: ReadonlySet<string> = new Set(['and', 'or', 'not', 'in', 'div']);
