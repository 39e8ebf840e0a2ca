/** Hashes, and values that each record has of its own. */
import type { Expr } from '../../../core/ast.ts';
import type { DataType } from '../../../core/types.ts';
import type { CallExpr, Gen, Val } from '../codegen.ts';
import { BIGINT, BINARY, DOUBLE, INT, isIntegral, STRING } from '../coercion.ts';
import { customFunction, fitAll, type FunctionDef, nullAwareFunction, valueFunction } from '../function-table.ts';
import { intLiteral } from '../literal.ts';
import {
  crc32,
  md5,
  murmurOf,
  recordNormal,
  recordNumber,
  recordRandom,
  recordUuid,
  sha1,
  sha2,
  xxHashOf,
} from '../runtime/hash.ts';

function digest(
  name: string,
  aliases: readonly string[],
  about: string,
  returns: DataType,
  call: (input: Uint8Array) => unknown,
): FunctionDef {
  return valueFunction({
    name,
    aliases,
    group: 'hash',
    usage: `${name}(text or binary)`,
    about,
    params: [BINARY],
    returns,
    call,
  });
}

function valueHash(
  name: string,
  about: string,
  type: DataType,
  call: (...args: readonly unknown[]) => unknown,
): FunctionDef {
  return nullAwareFunction({
    name,
    group: 'hash',
    usage: `${name}(a, b, …)`,
    about,
    type(args) {
      const fitted = fitAll(args, ['any'], 0, 'any');
      if ('complaint' in fitted) return fitted;
      const map = fitted.findIndex((arg) => arg.type.kind === 'map' || arg.kind === 'lambda');
      if (map >= 0) return { complaint: 'takes no MAP and no lambda', arg: map };
      return { args: fitted, type, nullable: false };
    },
    call,
    extra: (expr) => [expr.args.map((arg) => arg.type)],
  });
}

/** A function of the record's place alone; every call in a query draws values of its own. */
function recordFunction(
  name: string,
  usage: string,
  about: string,
  type: DataType,
  emit: (g: Gen, place: string, call: CallExpr) => Val,
  aliases: readonly string[] = [],
): FunctionDef {
  return customFunction({
    name,
    aliases,
    group: 'misc',
    usage,
    about,
    perRecord: true,
    type(args, context) {
      const fitted = fitAll(args, ['any'], 1);
      if ('complaint' in fitted) return fitted;
      const [seed] = fitted as [Expr?];
      if (seed !== undefined && (seed.kind !== 'literal' || !(isIntegral(seed.type) || seed.value === null)))
        return { complaint: 'takes a whole number that is written out', arg: 0 };
      const own = seed?.kind === 'literal' && seed.value === null ? intLiteral(0) : seed;
      return { args: [own ?? intLiteral(context.nextSite())], type, nullable: false };
    },
    emit(g, call) {
      const [site] = call.args as [Expr];
      const value = site.kind === 'literal' ? Number(site.value) : 0;
      const origins = 'rt.origins';
      return emit(
        g,
        `${origins}.topic, ${origins}.partition, ${origins}.offset[r], ${origins}.index[r], ${value}`,
        call,
      );
    },
  });
}

export const hashFunctions: readonly FunctionDef[] = [
  digest('md5', [], 'MD5, as hexadecimal digits.', STRING, md5),
  digest('sha1', ['sha'], 'SHA-1, as hexadecimal digits.', STRING, sha1),
  digest('crc32', [], 'CRC-32.', BIGINT, crc32),
  valueFunction({
    name: 'sha2',
    group: 'hash',
    usage: 'sha2(text or binary, bits)',
    about: 'SHA-224, -256, -384 or -512, as hexadecimal digits; 0 means 256; NULL for other lengths.',
    params: [BINARY, INT],
    returns: STRING,
    mayBeNull: true,
    call: sha2,
  }),
  valueHash('hash', 'Murmur3 over all arguments, as Spark computes it.', INT, murmurOf),
  valueHash('xxhash64', 'XXH64 over all arguments, as Spark computes it.', BIGINT, xxHashOf),
  recordFunction(
    'uuid',
    'uuid()',
    "A UUID of the record's place: the same whenever the record is read again.",
    STRING,
    (g, place) => g.fromBoxed(STRING, `${g.fn(recordUuid)}(${place})`, false),
  ),
  recordFunction(
    'randn',
    'randn([seed])',
    "A number of the standard normal distribution of the record's place: the same whenever the record is read again.",
    DOUBLE,
    (g, place) => {
      const name = g.fresh('v');
      g.line(`const ${name} = ${g.fn(recordNormal)}(${place});`);
      return g.scalar(DOUBLE, 'false', name);
    },
  ),
  customFunction({
    name: 'monotonically_increasing_id',
    group: 'misc',
    usage: 'monotonically_increasing_id()',
    about: "A number of the record's place, unique within its topic and growing within its partition.",
    perRecord: true,
    type: (args) =>
      args.length === 0
        ? { args, type: BIGINT, nullable: false }
        : { complaint: `takes no argument, not ${args.length}` },
    emit(g) {
      g.fails();
      const name = g.fresh('v');
      const origins = 'rt.origins';
      g.line(`const ${name} = ${g.fn(recordNumber)}(${origins}.partition, ${origins}.offset[r], ${origins}.index[r]);`);
      return g.scalar(BIGINT, 'false', name);
    },
  }),
  recordFunction(
    'rand',
    'rand([seed])',
    "A number in [0, 1) of the record's place: the same whenever the record is read again.",
    DOUBLE,
    (g, place) => {
      const name = g.fresh('v');
      g.line(`const ${name} = ${g.fn(recordRandom)}(${place});`);
      return g.scalar(DOUBLE, 'false', name);
    },
    ['random'],
  ),
];
