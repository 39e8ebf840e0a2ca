/** Functions that job files give for reading web pages, as text of TypeScript. */
import { stripTypeScriptTypes } from 'node:module';
import { WeirError, messageOf } from '../errors.ts';

/**
 * The JavaScript of an extractor: an expression that is a function of a page's document. Types become spaces. Throws:
 * CONFIG_INVALID for what is no such expression.
 */
export function extractorScript(source: string): string {
  try {
    return stripTypeScriptTypes(`(${source.trim().replace(/;$/, '')}\n)`);
  } catch (error) {
    const [why = ''] = messageOf(error).split('\n');
    throw new WeirError(
      'CONFIG_INVALID',
      `extract is no TypeScript function (${why}); write one such as (page: Document) => ({ title: page.title })`,
      { cause: error },
    );
  }
}

/** Why it is no extractor, or null. */
export function extractorProblem(source: string): string | null {
  try {
    extractorScript(source);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}
