/** Java's regular expressions (java.util.regex.Pattern) in the platform's syntax. */

const posixClasses = new Map([
  ['Lower', 'a-z'],
  ['Upper', 'A-Z'],
  ['Alpha', 'A-Za-z'],
  ['Digit', '0-9'],
  ['Alnum', 'A-Za-z0-9'],
  ['Punct', '!-\\/:-@\\[-`\\{-~'],
  ['Graph', '!-~'],
  ['Print', ' -~'],
  ['Blank', ' \\t'],
  ['Cntrl', '\\x00-\\x1f\\x7f'],
  ['XDigit', '0-9a-fA-F'],
  ['Space', ' \\t\\n\\x0b\\f\\r'],
  ['ASCII', '\\x00-\\x7f'],
  ['IsAlphabetic', '\\p{Alphabetic}'],
  ['IsDigit', '\\p{Nd}'],
  ['IsLetter', '\\p{L}'],
  ['IsUppercase', '\\p{Uppercase}'],
  ['IsLowercase', '\\p{Lowercase}'],
  ['IsPunctuation', '\\p{P}'],
  ['IsWhite_Space', '\\p{White_Space}'],
  ['javaLowerCase', '\\p{Lowercase}'],
  ['javaUpperCase', '\\p{Uppercase}'],
  ['javaWhitespace', '\\t-\\r\\x1c-\\x1f \\u1680\\u2000-\\u2006\\u2008-\\u200a\\u2028\\u2029\\u205f\\u3000'],
]);

/** Members of Java's classes that the platform has otherwise or not at all. */
const classEscapes = new Map([
  ['s', ' \\t\\n\\x0b\\f\\r'],
  ['h', ' \\t\\xa0\\u1680\\u180e\\u2000-\\u200a\\u202f\\u205f\\u3000'],
  ['v', '\\n\\x0b\\f\\r\\x85\\u2028\\u2029'],
]);

const plainEscapes = new Map([
  ['A', '(?<![\\s\\S])'],
  ['z', '(?![\\s\\S])'],
  ['Z', '(?=(?:\\r\\n|[\\n\\r\\u0085\\u2028\\u2029])?(?![\\s\\S]))'],
  ['R', '(?:\\r\\n|[\\n\\x0b\\f\\r\\x85\\u2028\\u2029])'],
  ['e', '\\x1b'],
  ['a', '\\x07'],
]);

export interface Translated {
  readonly source: string;
  /** Of i, m and s. */
  readonly flags: string;
}

/** The pattern in the platform's syntax; or what is not supported in it, as the end of a sentence. */
export function translateRegexp(pattern: string): Translated | string {
  const opening = /^\(\?([a-zA-Z]+)\)/.exec(pattern);
  const unknown = [...(opening?.[1] ?? '')].find((flag) => !'imsuU'.includes(flag));
  if (unknown !== undefined) return `it has the flag ${unknown}, and i, m and s are the ones supported`;
  const flags = [...new Set(opening?.[1])].filter((flag) => 'ims'.includes(flag)).join('');
  const rest = (opening === null ? pattern : pattern.slice(opening[0].length)).replaceAll(
    /\\Q([\s\S]*?)(?:\\E|$)/g,
    (_, text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&'),
  );
  return new Translator(rest, flags).translate();
}

class Translator {
  readonly #pattern: string;
  readonly #flags: string;
  #at = 0;
  #complaint: string | null = null;

  constructor(pattern: string, flags: string) {
    this.#pattern = pattern;
    this.#flags = flags;
  }

  translate(): Translated | string {
    let source = '';
    while (this.#at < this.#pattern.length && this.#complaint === null) source += this.#next();
    return this.#complaint ?? { source, flags: this.#flags };
  }

  #refuse(complaint: string): string {
    this.#complaint ??= complaint;
    return '';
  }

  #next(): string {
    const rest = this.#pattern.slice(this.#at, this.#at + 40);
    const quantifier = /^(?:[*+?]|\{\d+(?:,\d*)?\})([?+]?)/.exec(rest);
    if (quantifier !== null) {
      this.#at += quantifier[0].length;
      return quantifier[1] === '+'
        ? this.#refuse('possessive repetitions like a++ are not supported; write a+')
        : quantifier[0];
    }
    if (rest.startsWith('(?>')) return this.#refuse('groups like (?>…) are not supported; write (?:…)');
    if (/^\(\?[a-z-]+\)/.test(rest)) return this.#refuse('flags stand only at its beginning, or in (?i:…)');
    const char = rest[0] ?? '';
    if (char === '\\') return this.#escape(false);
    if (char === '[') return `[${this.#class()}]`;
    this.#at++;
    if (char === '$' && !this.#flags.includes('m')) return plainEscapes.get('Z') ?? '';
    if (char === '{') return this.#refuse('it has a { that begins no repetition; write \\{');
    return char === ']' || char === '}' ? `\\${char}` : char;
  }

  /** From [ to ]: what stands between. A class within a class is written out in it. */
  #class(): string {
    this.#at++;
    let members = '';
    if (this.#pattern[this.#at] === '^') {
      this.#at++;
      members = '^';
    }
    const begin = this.#at;
    while (this.#complaint === null) {
      const char = this.#pattern[this.#at];
      if (char === undefined) return this.#refuse('it opens a [ that is not closed');
      if (char === ']' && this.#at > begin) {
        this.#at++;
        return members;
      }
      if (this.#pattern.startsWith('&&', this.#at))
        return this.#refuse('classes like [a-z&&[^x]] are not supported; write (?=[^x])[a-z]');
      members += this.#member(char, this.#at === begin);
    }
    return members;
  }

  #member(char: string, isFirst: boolean): string {
    if (char === '[') {
      if (this.#pattern[this.#at + 1] === '^')
        return this.#refuse('classes like [a[^b]] are not supported; write (?:[a]|[^b])');
      return this.#class();
    }
    if (char === '\\') return this.#escape(true);
    this.#at++;
    if (char === '-') {
      const before = this.#pattern.slice(0, this.#at - 1);
      const isRange =
        !isFirst &&
        !/\\[dDwWsShHvVpP](?:\{\w+\})?$/.test(before) &&
        !/^(?:\]|\\[dDwWsShHvVpP]|\[)/.test(this.#pattern.slice(this.#at));
      return isRange ? '-' : '\\-';
    }
    return char === ']' ? '\\]' : char;
  }

  #escape(inClass: boolean): string {
    const rest = this.#pattern.slice(this.#at);
    const property = /^\\([pP])(?:\{(\w+)\}|(\w))/.exec(rest);
    if (property !== null) {
      this.#at += property[0].length;
      return this.#property(property[1] === 'P', property[2] ?? property[3] ?? '', inClass);
    }
    const octal = /^\\0([0-3]?[0-7]{1,2})/.exec(rest);
    if (octal !== null) {
      this.#at += octal[0].length;
      return `\\x${Number.parseInt(octal[1] ?? '0', 8)
        .toString(16)
        .padStart(2, '0')}`;
    }
    const wide = /^\\x\{([0-9A-Fa-f]+)\}/.exec(rest);
    if (wide !== null) {
      this.#at += wide[0].length;
      return `\\u{${wide[1]}}`;
    }
    const next = rest[1];
    if (next === undefined) return this.#refuse('it ends with a single \\');
    this.#at += 2;
    const members = classEscapes.get(next.toLowerCase());
    if (members !== undefined) {
      if (next === next.toLowerCase()) return inClass ? members : `[${members}]`;
      if (inClass) return next === 'S' ? '\\S' : this.#refuse(`\\${next} within [ ] is not supported`);
      return `[^${members}]`;
    }
    const plain = inClass ? undefined : plainEscapes.get(next);
    if (plain !== undefined) return plain;
    if (/[A-Za-z]/.test(next) && !'dDwWbBnrtfxucke'.includes(next))
      return this.#refuse(`\\${next} means nothing in it`);
    if (next === 'e') return '\\x1b';
    // Escaping what needs no escape is allowed in Java and not with the flag u.
    if (/[^A-Za-z0-9^$\\.*+?()[\]{}|/-]/.test(next)) return next;
    return next === '-' && !inClass ? '-' : `\\${next}`;
  }

  #property(negated: boolean, name: string, inClass: boolean): string {
    const members = posixClasses.get(name);
    if (members !== undefined) {
      if (!negated) return inClass ? members : `[${members}]`;
      return inClass ? this.#refuse(`\\P{${name}} within [ ] is not supported`) : `[^${members}]`;
    }
    const script = /^Is(\w{3,})$/.exec(name)?.[1];
    return `\\${negated ? 'P' : 'p'}{${script === undefined ? name.replace(/^Is/, '') : `Script=${script}`}}`;
  }
}
