/** `weir context list|add|use|delete`: clusters by name, kept in ~/.weir/contexts.json. */
import { WeirError } from '../../core/errors.ts';
import { formatTable, print, printJson, tell } from '../output.ts';
import type { Context, GlobalOptions } from '../settings.ts';
import { caOf, normalAddress, outputFormat, readContexts, writeContexts } from '../settings.ts';

const actions: readonly string[] = ['list', 'add', 'use', 'delete'];

/** Throws: USAGE, NOT_FOUND. */
export function context(action: string, name: string | undefined, options: GlobalOptions): void {
  const format = outputFormat(options, ['table', 'json', 'name']);
  const { current, contexts } = readContexts();
  const known = new Map(contexts);
  if (action === 'list') {
    const shown = [...known].map(([one, { address, token }]) => ({
      name: one,
      address,
      token: token !== undefined,
      current: one === current,
    }));
    if (format === 'json') return printJson({ contexts: shown });
    if (format === 'name') return shown.forEach((one) => print(one.name));
    if (shown.length === 0) return tell('no contexts; "weir context add NAME --address URL" makes one');
    const rows = shown.map((one) => [one.current ? '*' : '', one.name, one.address, one.token ? 'yes' : 'no']);
    return print(formatTable(['', 'NAME', 'ADDRESS', 'TOKEN'], rows));
  }
  if (!actions.includes(action))
    throw new WeirError('USAGE', `There is no weir context ${action}; there are ${actions.join(', ')}.`);
  if (name === undefined) throw new WeirError('USAGE', `Name the context: weir context ${action} NAME.`);
  if (action === 'add') {
    if (options.address === undefined)
      throw new WeirError('USAGE', 'A context needs an address: --address http://host:7080.');
    const ca = options.ca === undefined ? undefined : caOf(options);
    const address = options.address
      .split(',')
      .map((one) => normalAddress(one.trim()))
      .join(',');
    const added: Context = {
      address,
      ...(options.token === undefined ? {} : { token: options.token }),
      ...(ca === undefined ? {} : { ca }),
    };
    known.set(name, added);
    writeContexts({ current: current ?? name, contexts: known });
    return tell(`context ${name} is ${address}${current === undefined || current === name ? ', in use' : ''}`);
  }
  if (!known.has(name))
    throw new WeirError('NOT_FOUND', `There is no context ${name}; "weir context list" lists those there are.`);
  if (action === 'use') {
    writeContexts({ current: name, contexts: known });
    return tell(`context ${name} is in use`);
  }
  known.delete(name);
  writeContexts({ ...(current === undefined || current === name ? {} : { current }), contexts: known });
  return tell(`context ${name} deleted`);
}
