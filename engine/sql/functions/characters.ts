/** Functions over the characters and bytes of a text. */
import type { Expr } from '../../../core/ast.ts';
import type { Val } from '../codegen.ts';
import { BIGINT, BINARY, BOOLEAN, INT, STRING } from '../coercion.ts';
import {
  anyNullable,
  customFunction,
  fitAll,
  type FunctionDef,
  nullAwareFunction,
  strictFunction,
  unify,
  valueFunction,
} from '../function-table.ts';
import { intLiteral, nullLiteral, stringLiteral } from '../literal.ts';
import { repeat } from '../runtime/bytes.ts';
import {
  charOf,
  findInSet,
  firstCode,
  levenshtein,
  luhnCheck,
  mask,
  overlay,
  soundex,
  toBinary,
} from '../runtime/characters.ts';
import { orNull } from '../runtime/runtime.ts';
import { decodeText, isValidUtf8 } from '../runtime/text.ts';

const DISTANCE_MAX = 2147483647;

/** A strict function over boxed values whose last parameters have defaults. */
function withDefaults(spec: {
  readonly name: string;
  readonly usage: string;
  readonly about: string;
  readonly params: readonly (typeof STRING)[];
  readonly defaults: readonly Expr[];
  readonly returns: typeof STRING;
  readonly mayBeNull?: boolean;
  readonly call: (...args: never[]) => unknown;
}): FunctionDef {
  return customFunction({
    name: spec.name,
    group: 'string',
    usage: spec.usage,
    about: spec.about,
    type(args) {
      const fitted = fitAll(args, spec.params, spec.defaults.length);
      if ('complaint' in fitted) return fitted;
      const missing = spec.params.length - fitted.length;
      return {
        args: missing === 0 ? fitted : [...fitted, ...spec.defaults.slice(-missing)],
        type: spec.returns,
        nullable: spec.mayBeNull === true || anyNullable(fitted),
      };
    },
    emit(g, call) {
      g.fails();
      return g.strict(
        call.args,
        call.type,
        (vals) => ({ boxed: `${g.fn(spec.call)}(${vals.map((val) => g.boxed(val)).join(', ')})` }),
        { mayBeNull: spec.mayBeNull === true },
      );
    },
  });
}

export const characterFunctions: readonly FunctionDef[] = [
  valueFunction({
    name: 'ascii',
    group: 'string',
    usage: 'ascii(text)',
    about: 'The code of the first character, 0 for an empty text.',
    params: [STRING],
    returns: INT,
    call: firstCode,
  }),
  valueFunction({
    name: 'chr',
    aliases: ['char'],
    group: 'string',
    usage: 'chr(number)',
    about: 'The character of a code, modulo 256; empty for a negative one.',
    params: [BIGINT],
    returns: STRING,
    call: charOf,
  }),
  strictFunction({
    name: 'bit_length',
    group: 'string',
    usage: 'bit_length(text)',
    about: 'Bits of a text in UTF-8.',
    params: [STRING],
    returns: INT,
    body: (_g, [text]) => ({ value: `${(text as Val).l} * 8` }),
  }),
  strictFunction({
    name: 'space',
    group: 'string',
    usage: 'space(count)',
    about: 'So many spaces.',
    params: [INT],
    returns: STRING,
    fails: true,
    body: (g, [count]) => {
      const blank = g.expr(stringLiteral(' '));
      return { text: `${g.fn(repeat)}(rt, ${g.bytesF(blank)}, ${count?.v})` };
    },
  }),
  customFunction({
    name: 'elt',
    group: 'string',
    usage: 'elt(index, a, b, …)',
    about: 'The argument at an index from 1; raises when there is none.',
    type(args) {
      const fitted = fitAll(args, [INT, 'any'], 0, 'any');
      if ('complaint' in fitted) return fitted;
      const unified = unify(fitted, 1);
      return 'complaint' in unified ? unified : { ...unified, nullable: anyNullable(fitted) };
    },
    emit(g, call) {
      const [index, ...choices] = call.args as [Expr, ...Expr[]];
      const out = g.declare(call.type, true);
      const at = g.expr(index);
      if (at.nul === 'true') return out;
      g.line(`if (!(${at.nul})) {`);
      for (const [place, choice] of choices.entries()) {
        g.line(`if (${at.v} === ${place + 1}) {`);
        g.assign(out, g.expr(choice));
        g.line('} else {');
      }
      g.line(g.raise());
      g.line('}'.repeat(choices.length + 1));
      return call.nullable ? out : { ...out, nul: 'false' };
    },
  }),
  valueFunction({
    name: 'find_in_set',
    group: 'string',
    usage: "find_in_set(text, 'a,b,c')",
    about: 'Place of a text in a list with commas, from 1; 0 when it is not there.',
    params: [STRING, STRING],
    returns: INT,
    call: findInSet,
  }),
  withDefaults({
    name: 'overlay',
    usage: 'overlay(text, by, position [, length])',
    about: 'The text with the characters from a position on replaced, as many as the replacement has unless told.',
    params: [STRING, STRING, INT, INT],
    defaults: [intLiteral(-1)],
    returns: STRING,
    call: overlay,
  }),
  nullAwareFunction({
    name: 'mask',
    group: 'string',
    usage: 'mask(text [, upper [, lower [, digit [, other]]]])',
    about: 'Letters and digits replaced by X, x and n, or by what is given; NULL leaves them.',
    type(args) {
      const fitted = fitAll(args, [STRING, STRING, STRING, STRING, STRING], 4);
      if ('complaint' in fitted) return fitted;
      const long = fitted.findIndex(
        (arg, index) =>
          index > 0 && arg.kind === 'literal' && arg.value !== null && [...String(arg.value)].length !== 1,
      );
      if (long > 0) return { complaint: 'takes a single character here', arg: long };
      const defaults = [stringLiteral('X'), stringLiteral('x'), stringLiteral('n'), nullLiteral(STRING)];
      return {
        args: [...fitted, ...defaults.slice(fitted.length - 1)],
        type: STRING,
        nullable: args[0]?.nullable === true,
      };
    },
    call: mask,
  }),
  valueFunction({
    name: 'luhn_check',
    group: 'string',
    usage: 'luhn_check(text)',
    about: "True when the digits pass Luhn's check, as those of payment cards do.",
    params: [STRING],
    returns: BOOLEAN,
    call: luhnCheck,
  }),
  valueFunction({
    name: 'soundex',
    group: 'string',
    usage: 'soundex(text)',
    about: 'The Soundex code of an English word.',
    params: [STRING],
    returns: STRING,
    call: soundex,
  }),
  withDefaults({
    name: 'levenshtein',
    usage: 'levenshtein(a, b [, threshold])',
    about: 'Edits from one text to the other; -1 when they are more than the threshold.',
    params: [STRING, STRING, INT],
    defaults: [intLiteral(DISTANCE_MAX)],
    returns: INT,
    call: levenshtein,
  }),
  strictFunction({
    name: 'is_valid_utf8',
    group: 'string',
    usage: 'is_valid_utf8(text)',
    about: 'True when the bytes of the text are UTF-8.',
    params: [BINARY],
    returns: BOOLEAN,
    body: (g, [text]) => ({ value: `${g.fn(isValidUtf8)}(${g.boxed(text as Val)})` }),
  }),
  valueFunction({
    name: 'make_valid_utf8',
    group: 'string',
    usage: 'make_valid_utf8(text)',
    about: 'The text with U+FFFD for what is not UTF-8.',
    params: [BINARY],
    returns: STRING,
    call: (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8'),
  }),
  valueFunction({
    name: 'validate_utf8',
    group: 'string',
    usage: 'validate_utf8(text)',
    about: 'The text; raises when its bytes are not UTF-8.',
    params: [BINARY],
    returns: STRING,
    call: (bytes: Uint8Array): string => decodeText(bytes, 'UTF-8'),
  }),
  valueFunction({
    name: 'try_validate_utf8',
    group: 'string',
    usage: 'try_validate_utf8(text)',
    about: 'The text, NULL when its bytes are not UTF-8.',
    params: [BINARY],
    returns: STRING,
    mayBeNull: true,
    call: orNull((bytes: Uint8Array): string => decodeText(bytes, 'UTF-8')),
  }),
  withDefaults({
    name: 'to_binary',
    usage: "to_binary(text [, 'hex' | 'utf-8' | 'base64'])",
    about: 'The bytes that a text stands for; raises when it stands for none.',
    params: [STRING, STRING],
    defaults: [stringLiteral('hex')],
    returns: BINARY,
    call: toBinary,
  }),
  withDefaults({
    name: 'try_to_binary',
    usage: "try_to_binary(text [, 'hex' | 'utf-8' | 'base64'])",
    about: 'The bytes that a text stands for, NULL when it stands for none.',
    params: [STRING, STRING],
    defaults: [stringLiteral('hex')],
    returns: BINARY,
    mayBeNull: true,
    call: orNull(toBinary),
  }),
];
