/**
 * The tree of a regular expression in the platform's own syntax, for the cost estimate and for the machine that runs
 * what the platform's engine could take for ever on. It reads what `new RegExp` has accepted, so it never complains.
 */

/** What one character may be. Membership is asked from the platform, so both engines agree on it. */
export class CharSet {
  readonly source: string;
  /** 1 where the ASCII character belongs to it. */
  readonly ascii: Uint8Array = new Uint8Array(128);
  /** Certain to hold no other characters. */
  readonly asciiOnly: boolean;
  readonly #test: RegExp;
  readonly #known = new Map<number, boolean>();

  constructor(source: string, flags: string) {
    this.source = source;
    this.#test = new RegExp(`^(?:${source})$`, flags.replace(/[gm]/g, ''));
    for (let code = 0; code < 128; code++) this.ascii[code] = this.#test.test(String.fromCharCode(code)) ? 1 : 0;
    // Ignoring case, some letters match characters far from ASCII; negations and properties hold them anyway.
    this.asciiOnly =
      !flags.includes('i') &&
      /^[\0-\x7f]*$/.test(source) &&
      source !== '.' &&
      !/^\[\^|\\[^dwtnrfv\\^$.*+?()[\]{}|/-]/.test(source);
  }

  has(code: number): boolean {
    if (code < 128) return this.ascii[code] === 1;
    let known = this.#known.get(code);
    if (known === undefined) {
      known = this.#test.test(String.fromCodePoint(code));
      if (this.#known.size >= KNOWN_MAX) this.#known.clear();
      this.#known.set(code, known);
    }
    return known;
  }
}

const KNOWN_MAX = 4096;

/** `end`: of the text; `last`: there or before a last line break; `lineStart`, `lineEnd`: with the flag m. */
export type Assertion = 'start' | 'end' | 'last' | 'lineStart' | 'lineEnd' | 'word' | 'notWord';

export type RegexpNode =
  | { readonly kind: 'set'; readonly set: CharSet }
  | { readonly kind: 'sequence'; readonly items: readonly RegexpNode[] }
  | { readonly kind: 'choice'; readonly items: readonly RegexpNode[] }
  | {
      readonly kind: 'repeat';
      readonly item: RegexpNode;
      readonly min: number;
      /** Infinity: no bound. */
      readonly max: number;
      readonly greedy: boolean;
    }
  | { readonly kind: 'group'; readonly index: number; readonly item: RegexpNode }
  | { readonly kind: 'assert'; readonly what: Assertion }
  /** Looks ahead or behind: only the platform's engine can. */
  | { readonly kind: 'look'; readonly item: RegexpNode }
  | { readonly kind: 'backreference' };

export interface RegexpTree {
  readonly root: RegexpNode;
  readonly groupCount: number;
  readonly groupNames: ReadonlyMap<string, number>;
}

/** What the translation of Java's anchors looks like. */
export const anchors: ReadonlyMap<string, Assertion> = new Map([
  ['(?<![\\s\\S])', 'start'],
  ['(?![\\s\\S])', 'end'],
  ['(?=(?:\\r\\n|[\\n\\r\\u0085\\u2028\\u2029])?(?![\\s\\S]))', 'last'],
]);

/** Reads a pattern that the platform accepts with these flags. */
export function parseRegexp(source: string, flags: string): RegexpTree {
  return new Reader(source, flags).read();
}

class Reader {
  readonly #source: string;
  #flags: string;
  #at = 0;
  #groups = 0;
  readonly #names = new Map<string, number>();
  readonly #sets = new Map<string, CharSet>();

  constructor(source: string, flags: string) {
    this.#source = source;
    this.#flags = flags;
  }

  read(): RegexpTree {
    const root = this.#choice();
    return { root, groupCount: this.#groups, groupNames: this.#names };
  }

  #choice(): RegexpNode {
    const items = [this.#sequence()];
    while (this.#source[this.#at] === '|') {
      this.#at++;
      items.push(this.#sequence());
    }
    return items.length === 1 ? (items[0] as RegexpNode) : { kind: 'choice', items };
  }

  #sequence(): RegexpNode {
    const items: RegexpNode[] = [];
    while (this.#at < this.#source.length && this.#source[this.#at] !== '|' && this.#source[this.#at] !== ')')
      items.push(this.#quantified());
    return items.length === 1 ? (items[0] as RegexpNode) : { kind: 'sequence', items };
  }

  #quantified(): RegexpNode {
    const item = this.#atom();
    const found = /^(?:([*+?])|\{(\d+)(,?)(\d*)\})(\??)/.exec(this.#source.slice(this.#at, this.#at + 40));
    if (found === null) return item;
    const [all, sign, low, comma, high, lazy] = found;
    this.#at += all.length;
    const min = sign === undefined ? Number(low) : sign === '+' ? 1 : 0;
    let max = sign === '?' ? 1 : Infinity;
    if (sign === undefined && (comma === '' || high !== '')) max = comma === '' ? min : Number(high);
    return { kind: 'repeat', item, min, max, greedy: lazy === '' };
  }

  #atom(): RegexpNode {
    const rest = this.#source.slice(this.#at);
    for (const [text, what] of anchors) {
      if (!rest.startsWith(text)) continue;
      this.#at += text.length;
      return { kind: 'assert', what };
    }
    switch (rest[0]) {
      case '(':
        return this.#group(rest);
      case '^':
      case '$': {
        this.#at++;
        const lines = this.#flags.includes('m');
        if (rest.startsWith('^')) return { kind: 'assert', what: lines ? 'lineStart' : 'start' };
        return { kind: 'assert', what: lines ? 'lineEnd' : 'end' };
      }
      case '[': {
        let end = 1;
        while (rest[end] !== ']') end += rest[end] === '\\' ? 2 : 1;
        return this.#set(rest.slice(0, end + 1));
      }
      case '\\':
        return this.#escape(rest);
      default: {
        const char = this.#flags.includes('u') ? String.fromCodePoint(rest.codePointAt(0) ?? 0) : (rest[0] ?? '');
        // A brace or bracket by itself is a character in patterns without the flag u.
        return this.#set(/[{}\]]/.test(char) ? `\\${char}` : char, char.length);
      }
    }
  }

  #group(rest: string): RegexpNode {
    const opening = /^\((?:\?(?:([:=!]|<[=!])|<(\w+)>|([a-z]*)(?:-([a-z]+))?:))?/.exec(rest) as RegExpExecArray;
    const [all, special, name, on, off] = opening;
    this.#at += all.length;
    const index = all === '(' || name !== undefined ? ++this.#groups : 0;
    if (name !== undefined) this.#names.set(name, index);
    const outer = this.#flags;
    if (on !== undefined) {
      const without = [...this.#flags].filter((flag) => !(off ?? '').includes(flag)).join('');
      this.#flags = without + [...on].filter((flag) => !without.includes(flag)).join('');
    }
    const item = this.#choice();
    this.#at++;
    this.#flags = outer;
    if (index > 0) return { kind: 'group', index, item };
    return special === undefined || special === ':' ? item : { kind: 'look', item };
  }

  #escape(rest: string): RegexpNode {
    if (/^\\[bB]/.test(rest)) {
      this.#at += 2;
      return { kind: 'assert', what: rest[1] === 'b' ? 'word' : 'notWord' };
    }
    const reference = /^\\(?:[1-9]\d*|k<\w+>)/.exec(rest);
    if (reference !== null) {
      this.#at += reference[0].length;
      return { kind: 'backreference' };
    }
    const long =
      /^\\(?:[pP]\{[^}]*\}|u\{[0-9A-Fa-f]+\}|u[dD][89abAB][0-9A-Fa-f]{2}\\u[dD][c-fC-F][0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|c[A-Za-z]|[\s\S])/u;
    return this.#set(long.exec(rest)?.[0] ?? rest.slice(0, 2));
  }

  #set(source: string, length = source.length): RegexpNode {
    this.#at += length;
    const key = `${this.#flags}/${source}`;
    let set = this.#sets.get(key);
    if (set === undefined) {
      set = new CharSet(source, this.#flags);
      this.#sets.set(key, set);
    }
    return { kind: 'set', set };
  }
}
