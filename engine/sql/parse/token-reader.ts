import type { Identifier, Span } from '../../../core/ast.ts';
import { SqlSyntaxError } from '../problems.ts';
import { type Token, tokenize } from './lexer.ts';

/** Words that begin a clause: never a name or an alias unless in backticks. */
export const reservedWords = new Set(
  'SELECT FROM WHERE GROUP HAVING ORDER LIMIT UNION INTERSECT EXCEPT MINUS LATERAL JOIN LEFT RIGHT INNER FULL CROSS NATURAL ON USING WITH AS WHEN THEN ELSE END CASE AND OR NOT IN BETWEEN LIKE ILIKE RLIKE REGEXP IS DISTRIBUTE CLUSTER SORT SEMI ANTI'.split(
    ' ',
  ),
);

const DEPTH_MAX = 200;

/** Goes through the tokens of a text, one after the other; the rules of the parser share one reader. */
export class TokenReader {
  readonly #tokens: readonly Token[];
  #at = 0;
  #depth = 0;

  /** Throws {@link SqlSyntaxError} where the text has no tokens. */
  constructor(text: string) {
    this.#tokens = tokenize(text);
  }

  /** The next token, or one behind it; the end token for ever at the end. */
  peek(ahead = 0): Token {
    return this.#tokens[Math.min(this.#at + ahead, this.#tokens.length - 1)] as Token;
  }

  /** Takes the next token. */
  next(): Token {
    const token = this.peek();
    if (token.kind !== 'end') this.#at++;
    return token;
  }

  /** Is the next token this word (in capitals) or symbol? */
  is(text: string, ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === 'word' ? token.upper === text : token.kind === 'symbol' && token.text === text;
  }

  /** Takes the next token if it is this one. */
  skip(text: string): boolean {
    if (!this.is(text)) return false;
    this.#at++;
    return true;
  }

  /** Takes so many tokens, which have been looked at before. */
  advance(count: number): void {
    this.#at += count;
  }

  /** Takes this token; where another one stands, throws a sentence that `where` ends. */
  expect(text: string, where: string): Token {
    if (this.is(text)) return this.next();
    throw this.unexpected(`expected ${text} ${where}`);
  }

  /** Throws where there are more tokens; `hint` says what to do about them. */
  expectEnd(hint?: string): void {
    if (this.peek().kind !== 'end') throw this.unexpected('expected the end', hint);
  }

  /** The error that says what was expected and what stands there. */
  unexpected(expected: string, hint?: string): SqlSyntaxError {
    const token = this.peek();
    const found =
      token.kind === 'end'
        ? 'the text ends'
        : token.kind === 'string'
          ? `found the text '${token.text}'`
          : `found ${token.text}`;
    return new SqlSyntaxError(`${expected}, but ${found}`, token, hint);
  }

  /** From a token or node to the last token read. */
  span(from: Span): Span {
    const last = this.#tokens[this.#at - 1] ?? from;
    return { offset: from.offset, length: Math.max(1, last.offset + last.length - from.offset) };
  }

  /** Is it a name: a word that begins no clause, or one in backticks? */
  isName(ahead = 0): boolean {
    const token = this.peek(ahead);
    return token.kind === 'quoted' || (token.kind === 'word' && !reservedWords.has(token.upper));
  }

  /** Takes a name. */
  identifier(what: string): Identifier {
    const token = this.peek();
    if (!this.isName())
      throw this.unexpected(
        `expected ${what}`,
        token.kind === 'word' ? `a reserved word is a name in \`backticks\` only` : undefined,
      );
    this.next();
    return { text: token.text, offset: token.offset, length: token.length };
  }

  /** A name behind a point or AS: there, any word will do. */
  anyIdentifier(what: string): Identifier {
    const token = this.peek();
    if (token.kind !== 'word' && token.kind !== 'quoted') throw this.unexpected(`expected ${what}`);
    this.next();
    return { text: token.text, offset: token.offset, length: token.length };
  }

  /** `item, item, …` */
  list<T>(item: () => T): T[] {
    const items = [item()];
    while (this.skip(',')) items.push(item());
    return items;
  }

  /** What may hold itself goes through here: nesting is limited, the stack is not endless. */
  nested<T>(parse: () => T): T {
    if (++this.#depth > DEPTH_MAX)
      throw new SqlSyntaxError(`this is nested deeper than ${DEPTH_MAX} levels`, this.peek());
    const result = parse();
    this.#depth--;
    return result;
  }
}
