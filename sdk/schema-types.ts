/**
 * Types of rows from the text of a schema: `RowOf<'id BIGINT NOT NULL, tags ARRAY<STRING>'>` is
 * `{ readonly id: bigint; readonly tags: readonly (string | null)[] | null }`. What values look like:
 * core/job/user-functions.ts. A text that is not known while types are checked gives rows of unknown columns.
 */

/** Rows whose columns the types do not know. */
export type UnknownRow = Readonly<Record<string, unknown>>;

/** A row as the functions get it. */
export type RowOf<Schema extends string> = string extends Schema
  ? UnknownRow
  : Flat<{ readonly [F in Fields<Schema> as F[0]]: Read<F[1]> | (F[2] extends true ? null : never) }>;

/** A row as the functions give it: columns that may be NULL may be left out. */
export type GivenRow<Schema extends string> = string extends Schema
  ? UnknownRow
  : Flat<
      { readonly [F in Fields<Schema> as F[2] extends true ? never : F[0]]: Given<F[1]> } & {
        readonly [F in Fields<Schema> as F[2] extends true ? F[0] : never]?: Given<F[1]> | null | undefined;
      }
    >;

/** A value of a type's text, as the functions get it. */
export type ValueOf<Type extends string> = string extends Type ? unknown : Read<Plain<Type>>;

type Flat<T> = { readonly [K in keyof T]: T[K] };

/** White space is spaces from here on: a pattern with a choice of characters would match in several ways. */
type Plain<S extends string> = S extends `${infer A}\n${infer B}`
  ? Plain<`${A} ${B}`>
  : S extends `${infer A}\t${infer B}`
    ? Plain<`${A} ${B}`>
    : S;
type Trim<S extends string> = S extends ` ${infer R}` ? Trim<R> : S extends `${infer R} ` ? Trim<R> : S;

type Count<S extends string, C extends string, N extends 1[] = []> = S extends `${string}${C}${infer R}`
  ? Count<R, C, [...N, 1]>
  : N['length'];
type IsBalanced<S extends string> =
  Count<S, '<'> extends Count<S, '>'> ? (Count<S, '('> extends Count<S, ')'> ? true : false) : false;

/** The parts between commas that stand in no bracket. */
type Split<S extends string, Begun extends string = ''> = S extends `${infer A},${infer B}`
  ? IsBalanced<`${Begun}${A}`> extends true
    ? [Trim<`${Begun}${A}`>, ...Split<B>]
    : Split<B, `${Begun}${A},`>
  : [Trim<`${Begun}${S}`>];

/** Name, type, whether NULL may be there; of each column. */
type Fields<S extends string> = Split<Plain<S>>[number] extends infer Part
  ? Part extends string
    ? FieldOf<Part>
    : never
  : never;
type FieldOf<S extends string> = S extends `${infer Name}:${infer Type}`
  ? Name extends `${string} ${string}`
    ? SpacedField<S>
    : [Unquoted<Trim<Name>>, ...Nullability<Trim<Type>>]
  : SpacedField<S>;
type SpacedField<S extends string> = S extends `\`${infer Name}\`${infer Type}`
  ? [Name, ...Nullability<Trim<Type>>]
  : S extends `${infer Name} ${infer Type}`
    ? [Name, ...Nullability<Trim<Type>>]
    : never;
type Unquoted<S extends string> = S extends `\`${infer Name}\`` ? Name : S;
type Nullability<S extends string> =
  Uppercase<S> extends `${string} NOT NULL`
    ? S extends `${infer Type} ${'N' | 'n'}${'O' | 'o'}${'T' | 't'} ${string}`
      ? [Trim<Type>, false]
      : [S, false]
    : [S, true];

type Before<S extends string, C extends string> = S extends `${infer A}${C}${string}` ? A : S;
type Word<S extends string> = Uppercase<Before<Before<Before<Trim<S>, '<'>, '('>, ' '>>;
type Inner<S extends string> = S extends `${string}<${infer I}>` ? Trim<I> : never;

type Read<S extends string> =
  Word<S> extends 'BIGINT' | 'LONG'
    ? bigint
    : Word<S> extends 'TINYINT' | 'BYTE' | 'SMALLINT' | 'SHORT' | 'INT' | 'INTEGER'
      ? number
      : Word<S> extends 'FLOAT' | 'REAL' | 'DOUBLE' | 'TIMESTAMP'
        ? number
        : Word<S> extends 'STRING' | 'TEXT' | 'VARCHAR' | 'CHAR' | 'DATE' | 'DECIMAL' | 'DEC' | 'NUMERIC'
          ? string
          : Word<S> extends 'BOOLEAN'
            ? boolean
            : Word<S> extends 'BINARY'
              ? Uint8Array
              : Word<S> extends 'ARRAY'
                ? readonly (Read<Inner<S>> | null)[]
                : Word<S> extends 'MAP'
                  ? Split<Inner<S>> extends [infer K extends string, infer V extends string]
                    ? ReadonlyMap<Read<K>, Read<V> | null>
                    : never
                  : Word<S> extends 'STRUCT'
                    ? RowOf<Inner<S>>
                    : unknown;

type Given<S extends string> =
  Word<S> extends 'BIGINT' | 'LONG'
    ? bigint | number
    : Word<S> extends 'TIMESTAMP'
      ? number | Date
      : Word<S> extends 'DECIMAL' | 'DEC' | 'NUMERIC'
        ? string | bigint | number
        : Word<S> extends 'ARRAY'
          ? readonly (Given<Inner<S>> | null)[]
          : Word<S> extends 'MAP'
            ? Split<Inner<S>> extends [infer K extends string, infer V extends string]
              ? ReadonlyMap<Given<K>, Given<V> | null>
              : never
            : Word<S> extends 'STRUCT'
              ? GivenRow<Inner<S>>
              : Read<S>;
