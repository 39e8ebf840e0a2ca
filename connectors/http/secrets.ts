/** Values of the environment in options of feeds: `${env:WEIR_SECRET_NAME}`. */
import { WeirError } from '../../core/errors.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const PREFIX = 'WEIR_SECRET_';
const placeholder = /\$\{env:([^}]*)\}/g;

/**
 * Fills in placeholders. Only variables whose names begin with WEIR_SECRET_ are given out: whoever may submit a job may
 * not read whatever else the worker was started with.
 *
 * The function throws CONFIG_INVALID for another name, and for one that is not set.
 */
export function secretsOf(env: Environment): (text: string) => string {
  return (text) =>
    text.replaceAll(placeholder, (_, name: string) => {
      if (!name.startsWith(PREFIX)) {
        const message = `\${env:${name}} cannot be used: only variables that begin with ${PREFIX} are given to sources.`;
        throw new WeirError('CONFIG_INVALID', message);
      }
      const value = env[name];
      if (value === undefined || value === '')
        throw new WeirError(
          'CONFIG_INVALID',
          `The variable ${name} is not set where the worker runs; set it, or take it out of the source.`,
        );
      return value;
    });
}
