/** Colours on terminals: states and levels are painted so that what is wrong is seen first. The words stay the message. */

const codes = { green: 32, yellow: 33, red: 31, dim: 2, bold: 1 } as const;

/** How a word is painted. */
export type Paint = keyof typeof codes;

/** Words of the columns that are painted, whoever's they are: jobs, lanes, workers, runs, events, findings. */
const paints: ReadonlyMap<string, Paint> = new Map<string, Paint>([
  ['running', 'green'],
  ['alive', 'green'],
  ['ok', 'green'],
  ['starting', 'yellow'],
  ['stopping', 'yellow'],
  ['waiting', 'yellow'],
  ['blocked', 'yellow'],
  ['draining', 'yellow'],
  ['warn', 'yellow'],
  ['failed', 'red'],
  ['silent', 'red'],
  ['error', 'red'],
  ['BAD', 'red'],
  ['FAIL', 'red'],
  ['stopped', 'dim'],
  ['finished', 'dim'],
  ['released', 'dim'],
  ['debug', 'dim'],
]);

const chosen = { never: false };

/** `--no-color`: nothing is painted from now on. */
export function paintNothing(): void {
  chosen.never = true;
}

/** Only terminals that can, and only when nobody said no: https://no-color.org. */
export function coloured(stream: { readonly isTTY?: boolean }): boolean {
  const { NO_COLOR: no, TERM: terminal } = process.env;
  return stream.isTTY === true && !chosen.never && (no === undefined || no === '') && terminal !== 'dumb';
}

/** The text in that colour. */
export function painted(text: string, paint: Paint): string {
  return `\u001b[${codes[paint]}m${text}\u001b[0m`;
}

/** The first word of `text` in its colour, if it has one and `stream` shows colours. */
export function paintWord(text: string, stream: { readonly isTTY?: boolean } = process.stdout): string {
  const [word = ''] = /^\S*/.exec(text) ?? [];
  const paint = paints.get(word);
  return paint === undefined || !coloured(stream) ? text : painted(word, paint) + text.slice(word.length);
}
