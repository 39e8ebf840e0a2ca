/**
 * Bytes that JSON is written with. Whoever compares with them in a loop takes them into constants of its own module:
 * V8 makes those part of the machine code, and loads what is imported at every use.
 */
export const jsonBytes = {
  QUOTE: 0x22,
  COMMA: 0x2c,
  MINUS: 0x2d,
  COLON: 0x3a,
  OPEN_BRACKET: 0x5b,
  BACKSLASH: 0x5c,
  CLOSE_BRACKET: 0x5d,
  OPEN_BRACE: 0x7b,
  CLOSE_BRACE: 0x7d,
} as const;

/** What a string holds besides plain ASCII. */
export const stringFlags = { FLAG_ESCAPE: 1, FLAG_NON_ASCII: 2 } as const;
