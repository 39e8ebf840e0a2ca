/** Rows in files: JSON, or one JSON document a line. */
import { readFileSync } from 'node:fs';
import { WeirError } from '../core/errors.ts';
import type { SampleRecord } from '../master/lab.ts';

interface InputFile {
  /** Of a source; absent where none is named. */
  readonly name?: string;
  readonly path: string;
}

function inputFile(input: string): InputFile {
  const [, name, path = input] = /^([A-Za-z_]\w*)=(.+)$/.exec(input) ?? [];
  return { ...(name === undefined ? {} : { name }), path };
}

/** `FILE` or `SOURCE=FILE` each: the files alone. */
export function pathsOfInputs(inputs: readonly string[]): string[] {
  return inputs.map((input) => inputFile(input).path);
}

/** `FILE` or `SOURCE=FILE` each; `otherwise` = the source where none is named. Throws: NOT_FOUND. */
export function readInputs(inputs: readonly string[], otherwise: string): Map<string, SampleRecord[]> {
  return new Map(
    inputs.map((input) => {
      const { name = otherwise, path } = inputFile(input);
      return [name, readRows(path)];
    }),
  );
}

/** A line that is no JSON goes in as it stands, as it would from a topic. */
function readRows(path: string): SampleRecord[] {
  let text: string;
  try {
    text = readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (cause) {
    throw new WeirError('NOT_FOUND', `The file ${path} cannot be read (${(cause as NodeJS.ErrnoException).code}).`, {
      cause,
    });
  }
  try {
    const value = JSON.parse(text) as unknown;
    return (Array.isArray(value) ? value : [value]) as SampleRecord[];
  } catch {
    const lines = text.split('\n').filter((line) => line.trim() !== '');
    return lines.map((line) => {
      try {
        return JSON.parse(line) as SampleRecord;
      } catch {
        return line;
      }
    });
  }
}
