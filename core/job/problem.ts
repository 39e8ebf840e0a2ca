/** One mistake in a job file. A bad file is refused with all of them at once. */
export interface JobProblem {
  /** Path in the document: `sources.users.schema`. */
  readonly path: string;
  readonly message: string;
  /** What to write instead, when that is known. */
  readonly hint?: string;
  /** Position within the SQL text at `path` (query or schema), from 0, when the mistake is inside it. */
  readonly sqlOffset?: number;
  /** Length of the text at sqlOffset that is wrong, in characters. */
  readonly sqlLength?: number;
  /** Which column of the query's result it is about, from 0; planning turns it into a place in the SQL text. */
  readonly resultColumn?: number;
  /** Line and column in the file, from 1, once mapped. */
  readonly line?: number;
  readonly column?: number;
}
