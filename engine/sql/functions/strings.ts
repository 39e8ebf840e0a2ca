/** Functions over text. Positions count characters (code points) from 1. */
import type { Expr } from '../../../core/ast.ts';
import type { DataType } from '../../../core/types.ts';
import type { Val } from '../codegen.ts';
import { BIGINT, BINARY, BOOLEAN, commonType, INT, isIntegral, isNumeric, STRING } from '../coercion.ts';
import {
  anyNullable,
  customFunction,
  fitAll,
  type FunctionDef,
  nullAwareFunction,
  strictFunction,
  valueFunction,
} from '../function-table.ts';
import { intLiteral, stringLiteral } from '../literal.ts';
import {
  bytesContains,
  bytesEndsWith,
  bytesStartsWith,
  charCount,
  concatAppend,
  concatBegin,
  concatEnd,
  instr,
  lower,
  pad,
  repeat,
  replaceAll,
  right,
  substring,
  trim,
  upper,
} from '../runtime/bytes.ts';
import { concatArrays } from '../runtime/nested.ts';
import {
  decodeText,
  encodeText,
  formatNumber,
  formatString,
  hex,
  initcap,
  padBytes,
  quoteText,
  reverseText,
  splitPart,
  substringIndex,
  translate,
  trimCharacters,
  unbase64,
  unhex,
} from '../runtime/text.ts';

/** Text of more than this many code units would not fit a batch. */
const STRING_LENGTH_MAX = 2147483647;

/** `textFirst`: the characters stand behind the text, as in btrim; Spark's others have them in front of it. */
function trimFunction(name: string, side: number, about: string, textFirst = false): FunctionDef {
  return customFunction({
    name,
    group: 'string',
    usage: textFirst ? `${name}(text [, characters])` : `${name}(text) or ${name}(characters, text)`,
    about,
    type(args) {
      const fitted = fitAll(args, [STRING, STRING], 1);
      return 'complaint' in fitted ? fitted : { args: fitted, type: STRING, nullable: anyNullable(fitted) };
    },
    emit(g, call) {
      if (call.args.length === 1) {
        return g.strict(call.args, STRING, ([text]) => ({
          text: `${g.fn(trim)}(rt, ${g.bytesF(text as Val)}, ${side})`,
          data: (text as Val).d,
        }));
      }
      return g.strict(textFirst ? call.args : call.args.toReversed(), STRING, ([text, characters]) => ({
        boxed: `${g.fn(trimCharacters)}(${g.boxed(text as Val)}, ${g.boxed(characters as Val)}, ${side})`,
      }));
    },
  });
}

const substringFunction = customFunction({
  name: 'substring',
  aliases: ['substr'],
  group: 'string',
  usage: 'substring(text, position [, length])',
  about: 'Characters from a position on: 1 is the first, 0 too, -1 the last.',
  type(args) {
    const fitted = fitAll(args, [args[0]?.type.kind === 'binary' ? BINARY : STRING, INT, INT], 1);
    if ('complaint' in fitted) return fitted;
    const type = (fitted[0] as Expr).type;
    const complete = fitted.length === 3 ? fitted : [...fitted, intLiteral(STRING_LENGTH_MAX)];
    return { args: complete, type, nullable: anyNullable(fitted) };
  },
  emit: (g, call) =>
    g.strict(call.args, call.type, (vals) => {
      const [text, position, length] = vals as readonly [Val, Val, Val];
      // Binary counts bytes: every byte is a character then.
      const flag = call.type.kind === 'binary' ? '0' : text.f;
      const slice = `${g.fn(substring)}(rt, ${g.bytes(text)}, ${flag}, ${position.v}, ${length.v})`;
      return { text: call.type.kind === 'binary' ? `${slice}; rt.f = 1` : slice, data: text.d };
    }),
});

function caseFunction(name: string, alias: string, kernel: typeof upper, about: string): FunctionDef {
  return strictFunction({
    name,
    aliases: [alias],
    group: 'string',
    usage: `${name}(text)`,
    about,
    params: [STRING],
    returns: STRING,
    body: (g, [text]) => ({ text: `${g.fn(kernel)}(rt, ${g.bytesF(text as Val)})` }),
  });
}

function searchFunction(name: string, kernel: typeof bytesContains, about: string): FunctionDef {
  return strictFunction({
    name,
    group: 'string',
    usage: `${name}(text, part)`,
    about,
    params: [STRING, STRING],
    returns: BOOLEAN,
    body: (g, [text, part]) => ({ value: `${g.fn(kernel)}(${g.bytes(text as Val)}, ${g.bytes(part as Val)})` }),
  });
}

function padFunction(name: string, atLeft: boolean): FunctionDef {
  return customFunction({
    name,
    group: 'string',
    usage: `${name}(text, length [, fill])`,
    about: `Filled up on the ${atLeft ? 'left' : 'right'} to a length, or cut to it.`,
    type(args) {
      // Bytes are filled with bytes, unless the filling is a text: then both are texts.
      const isBinary = args[0]?.type.kind === 'binary' && args[2]?.type.kind !== 'string';
      const type = isBinary ? BINARY : STRING;
      const fitted = fitAll(args, [type, INT, type], 1);
      if ('complaint' in fitted) return fitted;
      return {
        args: fitted.length === 3 ? fitted : [...fitted, isBinary ? ZERO_BYTE : stringLiteral(' ')],
        type,
        nullable: anyNullable(fitted),
      };
    },
    emit(g, call) {
      g.fails();
      return g.strict(call.args, call.type, (vals) => {
        const [text, length, fill] = vals as readonly [Val, Val, Val];
        if (call.type.kind === 'binary')
          return { boxed: `${g.fn(padBytes)}(${g.boxed(text)}, ${length.v}, ${g.boxed(fill)}, ${atLeft})` };
        return { text: `${g.fn(pad)}(rt, ${g.bytesF(text)}, ${length.v}, ${g.bytesF(fill)}, ${atLeft})` };
      });
    },
  });
}

const ZERO_BYTE: Expr = { kind: 'literal', type: BINARY, nullable: false, value: '00' };

const concat = customFunction({
  name: 'concat',
  aliases: ['||'],
  group: 'string',
  usage: 'concat(a, b, …)',
  about: 'All arguments in a row; NULL when one is NULL. Joins arrays too.',
  type(args) {
    if (args.length > 0 && args.every((arg) => arg.type.kind === 'array')) {
      const type = args
        .map((arg) => arg.type)
        .reduce<DataType | undefined>((a, b) => a && commonType(a, b), args[0]?.type);
      if (type === undefined) return { complaint: 'takes arrays of one type' };
      return { args, type, nullable: anyNullable(args) };
    }
    if (args.length > 0 && args.every((arg) => arg.type.kind === 'binary'))
      return { args, type: BINARY, nullable: anyNullable(args) };
    const fitted = fitAll(args, [], 0, STRING);
    return 'complaint' in fitted ? fitted : { args: fitted, type: STRING, nullable: anyNullable(fitted) };
  },
  emit(g, call) {
    g.fails();
    if (call.type.kind === 'array') {
      return g.strict(call.args, call.type, (vals) => ({
        boxed: `${g.fn(concatArrays)}([${vals.map((val) => val.v).join(', ')}])`,
      }));
    }
    return g.strict(call.args, call.type, (vals) => {
      const appends = vals.map((val) => `${g.fn(concatAppend)}(rt, ${g.bytesF(val)});`);
      return { text: `${g.fn(concatBegin)}(rt); ${appends.join(' ')} ${g.fn(concatEnd)}(rt)` };
    });
  },
});

const concatWs = nullAwareFunction({
  name: 'concat_ws',
  group: 'string',
  usage: 'concat_ws(separator, a, b, …)',
  about: 'The texts and elements of arrays of texts that are not NULL, with a separator between them.',
  type(args) {
    if (args.length === 0) return { complaint: 'takes at least 1 argument, not 0' };
    const textArray: DataType = { kind: 'array', element: STRING, containsNull: true };
    const params = args.map((arg, index) => (index > 0 && arg.type.kind === 'array' ? textArray : STRING));
    const fitted = fitAll(args, params);
    return 'complaint' in fitted ? fitted : { args: fitted, type: STRING, nullable: args[0]?.nullable === true };
  },
  call: (
    separator: string | null,
    ...parts: readonly (string | null | readonly (string | null)[])[]
  ): string | null => {
    if (separator === null) return null;
    return parts
      .flat()
      .filter((part) => part !== null)
      .join(separator);
  },
});

export const stringFunctions: readonly FunctionDef[] = [
  caseFunction('upper', 'ucase', upper, 'Letters as capitals.'),
  caseFunction('lower', 'lcase', lower, 'Letters as small ones.'),
  trimFunction('trim', 3, 'Without spaces (or given characters) at both ends.'),
  trimFunction('btrim', 3, 'Without spaces (or given characters) at both ends.', true),
  trimFunction('ltrim', 1, 'Without spaces (or given characters) at the beginning.'),
  trimFunction('rtrim', 2, 'Without spaces (or given characters) at the end.'),
  substringFunction,
  concat,
  concatWs,
  customFunction({
    name: 'length',
    aliases: ['len', 'char_length', 'character_length'],
    group: 'string',
    usage: 'length(text)',
    about: 'Characters of a text, bytes of a binary.',
    type(args) {
      const fitted = fitAll(args, [args[0]?.type.kind === 'binary' ? BINARY : STRING]);
      return 'complaint' in fitted ? fitted : { args: fitted, type: INT, nullable: anyNullable(fitted) };
    },
    emit: (g, call) =>
      g.strict(call.args, INT, ([text]) => ({
        value: text?.type.kind === 'binary' ? text.l : `${g.fn(charCount)}(${g.bytesF(text as Val)})`,
      })),
  }),
  strictFunction({
    name: 'octet_length',
    group: 'string',
    usage: 'octet_length(text)',
    about: 'Bytes of a text in UTF-8.',
    params: [STRING],
    returns: INT,
    body: (_g, [text]) => ({ value: (text as Val).l }),
  }),
  customFunction({
    name: 'left',
    group: 'string',
    usage: 'left(text, count)',
    about: 'The first characters.',
    type(args) {
      const fitted = fitAll(args, [STRING, INT]);
      return 'complaint' in fitted ? fitted : { args: fitted, type: STRING, nullable: anyNullable(fitted) };
    },
    emit: (g, call) =>
      g.strict(call.args, STRING, (vals) => {
        const [text, count] = vals as readonly [Val, Val];
        return { text: `${g.fn(substring)}(rt, ${g.bytesF(text)}, 1, Math.max(0, ${count.v}))`, data: text.d };
      }),
  }),
  strictFunction({
    name: 'right',
    group: 'string',
    usage: 'right(text, count)',
    about: 'The last characters.',
    params: [STRING, INT],
    returns: STRING,
    body: (g, [text, count]) => ({
      text: `${g.fn(right)}(rt, ${g.bytesF(text as Val)}, ${count?.v})`,
      data: (text as Val).d,
    }),
  }),
  searchFunction('contains', bytesContains, 'True when the text holds the part.'),
  searchFunction('startswith', bytesStartsWith, 'True when the text begins with the part.'),
  searchFunction('endswith', bytesEndsWith, 'True when the text ends with the part.'),
  strictFunction({
    name: 'instr',
    group: 'string',
    usage: 'instr(text, part)',
    about: 'Position of the first occurrence, 0 when there is none.',
    params: [STRING, STRING],
    returns: INT,
    body: (g, [text, part]) => ({ value: `${g.fn(instr)}(${g.bytesF(text as Val)}, ${g.bytes(part as Val)}, 1)` }),
  }),
  customFunction({
    name: 'locate',
    aliases: ['position'],
    group: 'string',
    usage: 'locate(part, text [, from])',
    about: 'Position of the first occurrence at or behind a position, 0 when there is none.',
    type(args) {
      const fitted = fitAll(args, [STRING, STRING, INT], 1);
      if ('complaint' in fitted) return fitted;
      return {
        args: fitted.length === 3 ? fitted : [...fitted, intLiteral(1)],
        type: INT,
        nullable: anyNullable(fitted),
      };
    },
    emit: (g, call) =>
      g.strict(call.args, INT, (vals) => {
        const [part, text, from] = vals as readonly [Val, Val, Val];
        return { value: `${g.fn(instr)}(${g.bytesF(text)}, ${g.bytes(part)}, ${from.v})` };
      }),
  }),
  padFunction('lpad', true),
  padFunction('rpad', false),
  strictFunction({
    name: 'repeat',
    group: 'string',
    usage: 'repeat(text, times)',
    about: 'The text so many times in a row.',
    params: [STRING, INT],
    returns: STRING,
    fails: true,
    body: (g, [text, times]) => ({ text: `${g.fn(repeat)}(rt, ${g.bytesF(text as Val)}, ${times?.v})` }),
  }),
  customFunction({
    name: 'replace',
    group: 'string',
    usage: 'replace(text, search [, by])',
    about: 'Every occurrence of a text replaced by another, or taken out.',
    type(args) {
      const fitted = fitAll(args, [STRING, STRING, STRING], 1);
      if ('complaint' in fitted) return fitted;
      return {
        args: fitted.length === 3 ? fitted : [...fitted, stringLiteral('')],
        type: STRING,
        nullable: anyNullable(fitted),
      };
    },
    emit(g, call) {
      g.fails();
      return g.strict(call.args, STRING, (vals) => {
        const [text, search, by] = vals as readonly [Val, Val, Val];
        return { text: `${g.fn(replaceAll)}(rt, ${g.bytesF(text)}, ${g.bytes(search)}, ${g.bytesF(by)})` };
      });
    },
  }),
  valueFunction({
    name: 'initcap',
    group: 'string',
    usage: 'initcap(text)',
    about: 'The first letter of every word a capital, all others small.',
    params: [STRING],
    returns: STRING,
    call: initcap,
  }),
  customFunction({
    name: 'reverse',
    group: 'string',
    usage: 'reverse(text)',
    about: 'The characters, or the elements of an array, from the last to the first.',
    type(args) {
      const fitted = fitAll(args, [args[0]?.type.kind === 'array' ? 'array' : STRING]);
      if ('complaint' in fitted) return fitted;
      return { args: fitted, type: (fitted[0] as Expr).type, nullable: anyNullable(fitted) };
    },
    emit: (g, call) =>
      g.strict(call.args, call.type, ([value]) => ({ boxed: `${g.fn(reverseText)}(${g.boxed(value as Val)})` })),
  }),
  valueFunction({
    name: 'quote',
    group: 'string',
    usage: 'quote(text)',
    about: 'The text between single quotes, those within it behind a backslash.',
    params: [STRING],
    returns: STRING,
    call: quoteText,
  }),
  valueFunction({
    name: 'translate',
    group: 'string',
    usage: 'translate(text, from, to)',
    about: 'Each character of `from` replaced by the one at its place in `to`, or taken out where there is none.',
    params: [STRING, STRING, STRING],
    returns: STRING,
    call: translate,
  }),
  valueFunction({
    name: 'substring_index',
    group: 'string',
    usage: 'substring_index(text, separator, count)',
    about: 'What stands before the count-th separator; behind it, from the end, when count is negative.',
    params: [STRING, STRING, INT],
    returns: STRING,
    call: substringIndex,
  }),
  valueFunction({
    name: 'split_part',
    group: 'string',
    usage: 'split_part(text, separator, part)',
    about: 'One part of a text cut at a separator, from 1; negative counts from the end; empty when there is none.',
    params: [STRING, STRING, INT],
    returns: STRING,
    call: splitPart,
  }),
  valueFunction({
    name: 'format_number',
    group: 'string',
    usage: "format_number(number, digits) or format_number(number, '#,##0.00')",
    about: 'A number like 1,234.50: with so many digits behind the point, or after a pattern.',
    params: ['numeric', 'any'],
    returns: ([, how]) =>
      how?.type.kind === 'string' || isIntegral(how?.type ?? STRING) || how?.type.kind === 'null'
        ? STRING
        : { complaint: 'takes a number of digits or a pattern here', arg: 1 },
    mayBeNull: true,
    call: formatNumber,
    extra: (call) => [call.args[0]?.type],
  }),
  nullAwareFunction({
    name: 'format_string',
    aliases: ['printf'],
    group: 'string',
    usage: 'format_string(format, a, b, …)',
    about: 'Values put into a text at %s, %d, %f, %x and the like, as in Java.',
    type(args) {
      const fitted = fitAll(args, [STRING], 0, 'any');
      return 'complaint' in fitted ? fitted : { args: fitted, type: STRING, nullable: (fitted[0] as Expr).nullable };
    },
    call: formatString,
    extra: (call) => [call.args.slice(1).map((arg) => arg.type)],
  }),
  valueFunction({
    name: 'base64',
    group: 'string',
    usage: 'base64(bytes)',
    about: 'Bytes in base 64.',
    params: [BINARY],
    returns: STRING,
    call: (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64'),
  }),
  valueFunction({
    name: 'unbase64',
    group: 'string',
    usage: 'unbase64(text)',
    about: 'The bytes of a text in base 64.',
    params: [STRING],
    returns: BINARY,
    call: unbase64,
  }),
  customFunction({
    name: 'hex',
    group: 'string',
    usage: 'hex(value)',
    about: 'A whole number, text or binary in hexadecimal digits.',
    type(args) {
      const kind = args[0]?.type ?? STRING;
      const fitted = fitAll(args, [isNumeric(kind) ? BIGINT : kind.kind === 'binary' ? BINARY : STRING]);
      return 'complaint' in fitted ? fitted : { args: fitted, type: STRING, nullable: anyNullable(fitted) };
    },
    emit: (g, call) => g.strict(call.args, STRING, ([value]) => ({ boxed: `${g.fn(hex)}(${g.boxed(value as Val)})` })),
  }),
  valueFunction({
    name: 'unhex',
    group: 'string',
    usage: 'unhex(text)',
    about: 'The bytes of hexadecimal digits; NULL when there is anything else.',
    params: [STRING],
    returns: BINARY,
    mayBeNull: true,
    call: unhex,
  }),
  valueFunction({
    name: 'encode',
    group: 'string',
    usage: 'encode(text, charset)',
    about: 'The bytes of a text in UTF-8, US-ASCII, ISO-8859-1 or UTF-16.',
    params: [STRING, STRING],
    returns: BINARY,
    call: encodeText,
  }),
  valueFunction({
    name: 'decode',
    group: 'string',
    usage: 'decode(bytes, charset)',
    about: 'The text of bytes in UTF-8, US-ASCII, ISO-8859-1 or UTF-16.',
    params: [BINARY, STRING],
    returns: STRING,
    call: decodeText,
  }),
];
