/** CQL types as text, as `system_schema.columns` and CREATE TABLE write them. Inverse of `formatCqlType`. */
import { WeirError } from '../errors.ts';
import { type CqlScalar, cqlScalars, type CqlType } from './schema.ts';

/** A user-defined type; undefined when there is none by that name. */
export type UdtResolver = (keyspace: string | undefined, name: string) => Extract<CqlType, { kind: 'udt' }> | undefined;

const scalars = new Map<string, CqlScalar>(cqlScalars.map((name) => [name, name]));
scalars.set('varchar', 'text');

/** Types that exist but that Weir does not handle; kept as text. */
const opaque = new Set(['duration', 'vector', 'empty']);

/** Types nest at most so deep; deeper text is a mistake, not a table. */
const DEPTH_MAX = 32;

/**
 * The type that `text` names. Unquoted names are case-insensitive; user-defined types come from `resolveUdt`.
 *
 * Throws: SQL_SYNTAX when it is not a type, SQL_SEMANTIC when it names a type that does not exist.
 */
export function parseCqlType(text: string, resolveUdt: UdtResolver = () => undefined): CqlType {
  const parser = new TypeParser(text, resolveUdt);
  const type = parser.parseType(0);
  parser.expectEnd();
  return type;
}

class TypeParser {
  readonly #text: string;
  readonly #resolveUdt: UdtResolver;
  #at = 0;

  constructor(text: string, resolveUdt: UdtResolver) {
    this.#text = text;
    this.#resolveUdt = resolveUdt;
  }

  parseType(depth: number): CqlType {
    if (depth > DEPTH_MAX) this.#fail(`it nests deeper than ${DEPTH_MAX} levels`);
    const start = this.#skipSpace();
    if (this.#text[start] === "'") return this.#customClass();
    const first = this.#name();
    if (this.#take('.')) return this.#udt(first.text, this.#name().text);
    if (first.quoted) return this.#udt(undefined, first.text);
    const scalar = scalars.get(first.text);
    if (scalar !== undefined) return { kind: scalar };
    switch (first.text) {
      case 'frozen':
        return frozen(this.#arguments(1, depth)[0]!);
      case 'list':
      case 'set':
        return { kind: first.text, element: this.#arguments(1, depth)[0]!, frozen: false };
      case 'map': {
        const [key, value] = this.#arguments(2, depth);
        return { kind: 'map', key: key!, value: value!, frozen: false };
      }
      case 'tuple':
        return { kind: 'tuple', elements: this.#arguments(undefined, depth) };
    }
    if (opaque.has(first.text)) {
      this.#skipBrackets();
      return { kind: 'custom', text: this.#text.slice(start, this.#at) };
    }
    return this.#udt(undefined, first.text);
  }

  expectEnd(): void {
    if (this.#skipSpace() < this.#text.length) this.#fail(`"${this.#text.slice(this.#at)}" is too much`);
  }

  #udt(keyspace: string | undefined, name: string): CqlType {
    const type = this.#resolveUdt(keyspace, name);
    if (type !== undefined) return type;
    throw new WeirError(
      'SQL_SEMANTIC',
      `There is no CQL type named "${keyspace === undefined ? name : `${keyspace}.${name}`}".`,
    );
  }

  #arguments(count: number | undefined, depth: number): CqlType[] {
    if (!this.#take('<')) this.#fail('"<" is missing');
    const types = [this.parseType(depth + 1)];
    while (this.#take(',')) types.push(this.parseType(depth + 1));
    if (!this.#take('>')) this.#fail('">" is missing');
    if (count !== undefined && types.length !== count)
      this.#fail(`it takes ${count} types between < and >, not ${types.length}`);
    return types;
  }

  #name(): { readonly text: string; readonly quoted: boolean } {
    this.#skipSpace();
    const rest = this.#text.slice(this.#at);
    const quoted = /^"((?:[^"]|"")+)"/.exec(rest);
    if (quoted !== null) {
      this.#at += quoted[0].length;
      return { text: quoted[1]!.replaceAll('""', '"'), quoted: true };
    }
    const plain = /^[A-Za-z][A-Za-z0-9_]*/.exec(rest);
    if (plain === null) return this.#fail('a type name is missing');
    this.#at += plain[0].length;
    return { text: plain[0].toLowerCase(), quoted: false };
  }

  #customClass(): CqlType {
    const end = this.#text.indexOf("'", this.#at + 1);
    if (end < 0) this.#fail('a closing quote is missing');
    const text = this.#text.slice(this.#at, end + 1);
    this.#at = end + 1;
    return { kind: 'custom', text };
  }

  #skipBrackets(): void {
    if (!this.#take('<')) return;
    for (let open = 1; open > 0; this.#at++) {
      const character = this.#text[this.#at];
      if (character === undefined) this.#fail('">" is missing');
      if (character === '<') open++;
      if (character === '>') open--;
    }
  }

  #skipSpace(): number {
    while (this.#text[this.#at] === ' ') this.#at++;
    return this.#at;
  }

  #take(character: string): boolean {
    if (this.#text[this.#skipSpace()] !== character) return false;
    this.#at++;
    return true;
  }

  #fail(what: string): never {
    throw new WeirError('SQL_SYNTAX', `"${this.#text}" is not a CQL type: ${what} (at character ${this.#at + 1}).`);
  }
}

/** Tuples are always frozen, scalars never need to be. */
function frozen(type: CqlType): CqlType {
  switch (type.kind) {
    case 'list':
    case 'set':
    case 'map':
    case 'udt':
      return { ...type, frozen: true };
    default:
      return type;
  }
}
