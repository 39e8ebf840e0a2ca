/** Functions over URLs. */
import type { Val } from '../codegen.ts';
import { STRING } from '../coercion.ts';
import { customFunction, fitAll, type FunctionDef, valueFunction } from '../function-table.ts';
import { orNull } from '../runtime/runtime.ts';
import { urlDecode, urlEncode } from '../runtime/text.ts';
import { parseUrl } from '../runtime/urls.ts';

function partFunction(
  name: string,
  about: string,
  parse: (url: string, part: string, key: string | null) => unknown,
): FunctionDef {
  return customFunction({
    name,
    group: 'string',
    usage: `${name}(url, 'HOST' | 'PATH' | 'QUERY' | 'REF' | 'PROTOCOL' | 'FILE' | 'AUTHORITY' | 'USERINFO' [, key])`,
    about,
    type(args) {
      const fitted = fitAll(args, [STRING, STRING, STRING], 1);
      return 'complaint' in fitted ? fitted : { args: fitted, type: STRING, nullable: true };
    },
    emit(g, call) {
      g.fails();
      return g.strict(
        call.args,
        STRING,
        ([url, part, key]) => ({
          boxed: `${g.fn(parse)}(${g.boxed(url as Val)}, ${g.boxed(part as Val)}, ${key === undefined ? 'null' : g.boxed(key)})`,
        }),
        { mayBeNull: true },
      );
    },
  });
}

export const urlFunctions: readonly FunctionDef[] = [
  partFunction('parse_url', 'One part of a URL, or one parameter of its query; raises for what is no URL.', parseUrl),
  partFunction(
    'try_parse_url',
    'One part of a URL, or one parameter of its query; NULL for what is no URL.',
    orNull(parseUrl),
  ),
  valueFunction({
    name: 'url_encode',
    group: 'string',
    usage: 'url_encode(text)',
    about: 'The text as a part of a URL.',
    params: [STRING],
    returns: STRING,
    call: urlEncode,
  }),
  valueFunction({
    name: 'url_decode',
    group: 'string',
    usage: 'url_decode(text)',
    about: 'The text that a part of a URL stands for.',
    params: [STRING],
    returns: STRING,
    call: urlDecode,
  }),
  valueFunction({
    name: 'try_url_decode',
    group: 'string',
    usage: 'try_url_decode(text)',
    about: 'The text that a part of a URL stands for, NULL when it is wrong.',
    params: [STRING],
    returns: STRING,
    mayBeNull: true,
    call: orNull(urlDecode),
  }),
];
