/** How commands get into the tree. */
import type { Command } from 'commander';
import type { GlobalOptions } from '../settings.ts';

/** Adds a command to the tree: what it does is loaded when it runs. */
export type Add = <O = GlobalOptions>(usage: string, description: string, action: Action<O>) => Command;

/** Returns the exit code, or nothing for 0. */
export type Action<O> = (args: readonly string[], options: O) => Promise<number | void>;

/** How long commands wait that wait. */
export const TIMEOUT_DEFAULT = '60s';
