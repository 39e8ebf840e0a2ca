/** One mechanism of the protocol taken away each: the checkers must notice. */
export interface Mutations {
  /** The tables stamp rows with the time they arrive. */
  readonly arrivalTimes?: boolean;
  /** Writers say "acknowledged" before the tables did. */
  readonly commitBeforeAck?: boolean;
  /** A lane commits any position that was acknowledged, not only the prefix. */
  readonly commitAnyAck?: boolean;
  /** Writers send without looking at the permit. */
  readonly ignorePermit?: boolean;
  /** A new owner starts at once, acknowledged or not. */
  readonly noHandOver?: boolean;
  /** Rows carry the producers' times: nothing holds them above the rows before. */
  readonly recordTimesOnly?: boolean;
  /** A new run writes at the times of the former one. */
  readonly runsShareTimes?: boolean;
  /** The lane register keeps the last write, not the largest position. Harmless: work is repeated. */
  readonly lastWriteRegister?: boolean;
}

export const harmfulMutations = [
  'arrivalTimes',
  'commitBeforeAck',
  'commitAnyAck',
  'ignorePermit',
  'noHandOver',
  'recordTimesOnly',
  'runsShareTimes',
] as const satisfies readonly (keyof Mutations)[];
