/** Functions of Spark that are known and not offered, with what to write instead. */
import type { FunctionGroup } from '../function-table.ts';

export interface RefusedFunction {
  readonly names: readonly string[];
  readonly group: FunctionGroup;
  /** Behind the name, as the end of a sentence. */
  readonly why: string;
  readonly instead: string;
}

export const refusedFunctions: readonly RefusedFunction[] = [
  {
    names: ['sentences'],
    group: 'string',
    why: 'cuts a text by the rules of a language and is not offered',
    instead: "split(text, '[.!?] *') for sentences, and split(sentence, ' ') for their words",
  },
  {
    names: ['randstr'],
    group: 'string',
    why: 'gives another text each time a record is read and is not offered',
    instead: 'left(sha2(key, 256), n), which stays the same',
  },
  {
    names: ['shuffle'],
    group: 'nested',
    why: 'gives another order each time a record is read and is not offered',
    instead: 'array_sort(array, (a, b) -> …) with an order of your own',
  },
  {
    names: ['from_csv', 'schema_of_csv'],
    group: 'misc',
    why: 'is not offered',
    instead: "split(text, ','), or format: csv of the source where the record is a line",
  },
  {
    names: ['to_csv'],
    group: 'misc',
    why: 'is not offered',
    instead: "concat_ws(',', a, b)",
  },
  {
    names: ['try_make_interval'],
    group: 'time',
    why: 'is not offered',
    instead: 'make_interval(years, months, weeks, days, hours, minutes, seconds)',
  },
  {
    names: ['parse_json', 'try_parse_json', 'variant_get', 'try_variant_get', 'is_variant_null'],
    group: 'json',
    why: 'works on VARIANT, a type that is not offered',
    instead: "get_json_object(text, '$.a.b') or from_json(text, schema)",
  },
  {
    names: ['xpath', 'xpath_string', 'xpath_int', 'from_xml', 'to_xml'],
    group: 'misc',
    why: 'works on XML and is not offered',
    instead: 'regexp_extract(text, …) for a single value',
  },
  {
    names: [
      'input_file_name',
      'spark_partition_id',
      'current_user',
      'user',
      'session_user',
      'current_database',
      'current_catalog',
      'version',
    ],
    group: 'misc',
    why: 'depends on the process that runs it and is not offered',
    instead: 'the hidden columns topic, partition and offset of the source, or a constant',
  },
  {
    names: ['aes_encrypt', 'aes_decrypt', 'try_aes_decrypt'],
    group: 'misc',
    why: 'would hold a key in the query and is not offered',
    instead: 'encryption where the data are stored',
  },
  {
    names: ['to_timestamp_ntz', 'make_timestamp_ntz'],
    group: 'time',
    why: 'gives TIMESTAMP_NTZ, a type that is not offered',
    instead: 'to_timestamp(text, pattern) with a zone of UTC',
  },
  {
    names: ['java_method', 'reflect', 'try_reflect'],
    group: 'misc',
    why: 'calls Java and is not offered',
    instead: 'a function of your own',
  },
  {
    names: ['collate', 'collation'],
    group: 'string',
    why: 'is not offered: texts are compared byte by byte',
    instead: 'lower(text) for a comparison without regard to case',
  },
];
