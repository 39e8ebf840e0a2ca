/** Functions of the job behind its query: their columns, state and time. */
import { durationMs, durationUs } from '../../../core/duration.ts';
import type { KeyedStateSpec, StateVariableSpec } from '../../../core/job/spec.ts';
import type { DataType, Schema } from '../../../core/types.ts';
import { formatType } from '../../../core/types.ts';
import type { EventTimeColumn, StateVariable } from '../../plan/logical-plan.ts';
import { parseSchema } from '../ddl.ts';
import { parseType } from '../parser.ts';
import { catchSyntax, didYouMean } from '../problems.ts';
import type { Analysis } from './context.ts';
import type { Rows } from './scope.ts';
import { isGroupable } from '../coercion.ts';

const PATH = 'keyedState';

/** The rows that the functions emit; undefined where something is wrong, which is then among the problems. */
export function keyedStateRows(rows: Rows, spec: KeyedStateSpec, analysis: Analysis): Rows | undefined {
  const { problems, outputMode } = analysis.input;
  const before = problems.length;
  const say = (path: string, message: string, hint?: string): void => {
    problems.push({ path, message, ...(hint === undefined ? {} : { hint }) });
  };
  const { plan, lagUs } = rows;
  const span = { offset: 0, length: Math.max(1, analysis.input.text.length) };
  const keys = spec.key.map((name, index) => keyColumn(name, `${PATH}.key[${index}]`, plan.output, say));
  if (spec.input !== undefined) checkInput(spec.input, plan.output, analysis);
  const { single } = spec;
  const variables = Object.entries(spec.state).map(([name, one]) =>
    variableOf(name, one, `${PATH}.state.${name}`, analysis),
  );
  if (single && variables.length !== 1)
    say(`${PATH}.single`, `the functions get one state, and there are ${variables.length}`);
  const output = parseSchema(spec.output, `${PATH}.output`, problems);
  if (outputMode !== 'append')
    say('outputMode', `what functions emit is final: outputMode is append with keyedState, not ${outputMode}`);
  if (!spec.functions.includes('onRow')) say(`${PATH}.functions`, 'keyedState needs onRow');
  if (spec.timers === 'none' && spec.functions.includes('onTimer'))
    say(`${PATH}.timers`, 'onTimer never comes with timers: none', 'write eventTime or processingTime');
  const hasTtl = variables.some((variable) => variable !== undefined && variable.ttlUs !== null);
  if (!hasTtl && spec.functions.includes('onExpire'))
    say(`${PATH}.state`, 'onExpire never comes: no state has a ttl', "write { value: '…', ttl: '1 hour' }");
  const eventTime = spec.timers === 'eventTime' ? eventTimeOf(rows) : null;
  if (spec.timers === 'eventTime' && eventTime === null)
    say(
      `${PATH}.timers`,
      'timers by event time need one column with a watermark in the result of the query',
      'declare the watermark at the source and select its column',
    );
  const deadlineMs = durationMs(spec.deadline);
  if (deadlineMs < 1) say(`${PATH}.deadline`, 'functions need some time: the deadline is 0');
  if (problems.length > before || output === undefined) return undefined;
  for (const { name, ttlUs } of variables as StateVariable[]) {
    if (ttlUs === null && spec.timers === 'none')
      analysis.warn(`user-1 keeps ${single ? 'a row' : name} of every key until a function clears it: it has no ttl`);
  }
  return {
    plan: {
      kind: 'user',
      id: analysis.nextOperator('user'),
      watermarkLagUs: lagUs,
      input: plan,
      keys: keys as number[],
      variables: variables as StateVariable[],
      single,
      timers: spec.timers,
      functions: spec.functions,
      deadlineMs,
      eventTime,
      output,
      span,
    },
    columns: output.map((field, index) => ({ ...field, qualifier: null, hidden: false, index })),
    times: output.map(() => null),
    streaming: rows.streaming,
    lagUs,
  };
}

function keyColumn(
  name: string,
  path: string,
  columns: Schema,
  say: (path: string, message: string, hint?: string) => void,
): number | undefined {
  const index = columns.findIndex((column) => column.name.toLowerCase() === name.toLowerCase());
  const column = columns[index];
  if (column === undefined) {
    const names = columns.map((each) => each.name);
    say(path, `the query gives no column ${name}`, didYouMean(name, names) ?? `its columns are: ${names.join(', ')}`);
    return undefined;
  }
  if (!isGroupable(column.type)) {
    say(path, `rows cannot be brought together by ${name}, which is ${formatType(column.type)}`);
    return undefined;
  }
  return index;
}

function checkInput(text: string, columns: Schema, analysis: Analysis): void {
  const { problems } = analysis.input;
  const path = `${PATH}.input`;
  for (const { name, type, nullable } of parseSchema(text, path, problems) ?? []) {
    const given = columns.find((column) => column.name === name);
    if (given === undefined) {
      const names = columns.map((each) => each.name);
      const hint = didYouMean(name, names) ?? `its columns are: ${names.join(', ')}`;
      problems.push({ path, message: `the query gives no column ${name}`, hint });
    } else if (formatType(given.type) !== formatType(type)) {
      const message = `the query gives ${name} as ${formatType(given.type)}, not as ${formatType(type)}`;
      problems.push({ path, message, hint: 'change one of them, or CAST in the query' });
    } else if (given.nullable && !nullable) {
      const message = `the query may give NULL as ${name}, which is declared NOT NULL`;
      problems.push({ path, message, hint: 'leave NOT NULL out, or declare it in the schema of the source' });
    }
  }
}

function variableOf(
  name: string,
  spec: StateVariableSpec,
  path: string,
  analysis: Analysis,
): StateVariable | undefined {
  const { problems } = analysis.input;
  const ttlUs = spec.ttl === undefined ? null : (durationUs(spec.ttl) ?? null);
  if (ttlUs === 0) problems.push({ path: `${path}.ttl`, message: 'a ttl is longer than nothing' });
  if ('value' in spec) {
    const schema = parseSchema(spec.value, `${path}.value`, problems);
    return schema && { name, kind: 'value', schema, key: null, ttlUs };
  }
  if ('list' in spec) {
    const schema = parseSchema(spec.list, `${path}.list`, problems);
    return schema && { name, kind: 'list', schema, key: null, ttlUs };
  }
  const schema = parseSchema(spec.map.value, `${path}.map.value`, problems);
  const key = mapKey(spec.map.key, `${path}.map.key`, analysis);
  return schema && key && { name, kind: 'map', schema, key, ttlUs };
}

function mapKey(text: string, path: string, analysis: Analysis): DataType | undefined {
  const { problems } = analysis.input;
  const type = catchSyntax(path, problems, () => parseType(text));
  if (type === undefined) return undefined;
  if (isGroupable(type)) return type;
  problems.push({
    path,
    message: `the key of a map is one type that can be compared, not ${text}`,
    hint: 'write STRING',
  });
  return undefined;
}

/** The event time of rows that have one; null where they have none, or several. */
function eventTimeOf(rows: Rows): EventTimeColumn | null {
  const found = rows.times.flatMap((time, column) => (time === null ? [] : [{ column, kind: time.kind }]));
  const plain = found.filter(({ kind }) => kind === 'timestamp');
  const [only] = plain.length > 0 ? plain : found;
  return plain.length > 1 ? null : (only ?? null);
}
