/** What may be asked of a path, for the answer to a method that it does not have (RFC 9110 §15.5.6). */
import type { RouteSpec } from './routes.ts';
import { routes } from './routes.ts';

const table = Object.values(routes as Readonly<Record<string, RouteSpec>>).map(({ method, path }) => ({
  method,
  // Paths of the table hold nothing but names, slashes, dots and parameters.
  pattern: new RegExp(`^${path.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+')}$`),
}));

/** Methods of the routes that a path fits; none = there is nothing. */
export function methodsAt(path: string): string[] {
  return [...new Set(table.filter(({ pattern }) => pattern.test(path)).map(({ method }) => method))].toSorted();
}
