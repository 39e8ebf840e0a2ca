/** A place of files by names with slashes: a directory that all workers share, or a prefix of a bucket. */
export interface FilePlace {
  /** For messages: `/data/orders`, `s3://bucket/orders`. */
  readonly description: string;
  /** Whether a file moves to another name in one step. Where it does not, it is written under its last name. */
  readonly moves: boolean;
  /** Durable when it resolves; replaces a file of that name. */
  write(name: string, bytes: Uint8Array): Promise<void>;
  /** As {@link write}, but only where there is no such file: false when there is one, which stays. */
  create(name: string, bytes: Uint8Array): Promise<boolean>;
  /** undefined when there is none. */
  read(name: string): Promise<Uint8Array | undefined>;
  /** Files whose names begin so; what was written before is in it. */
  list(prefix: string): Promise<readonly { readonly name: string; readonly bytes: number }[]>;
  /** Only where {@link moves}. Does nothing when the file is at its new name already. */
  move(from: string, to: string): Promise<void>;
  /** Names that are not there do no harm. */
  remove(names: readonly string[]): Promise<void>;
}
