/** A chart over the answer of a query, and what to choose for it. The address holds the choice. */
import type { JSX } from 'preact';
import { useMemo } from 'preact/hooks';
import { count, dateTime, plural, time } from '../format.ts';
import type { Sample } from '../model/query-chart.ts';
import { ASKED, VALUES_MAX, chosenOf, drawingOf, isNumeric } from '../model/query-chart.ts';
import { place, setQuery } from '../router.ts';
import { useStore } from '../store.ts';
import type { QueryAnswer } from '../wire.ts';
import { Empty } from './basics.tsx';
import type { Axis } from './chart.tsx';
import { Chart } from './chart.tsx';

const DAY_S = 86_400;

/** `samples`: the first rows of earlier answers to the same query, oldest first. */
export function QueryChart({
  answer,
  samples,
}: {
  readonly answer: QueryAnswer;
  readonly samples: readonly Sample[];
}): JSX.Element {
  const { query } = useStore(place);
  const bars = query.get('chart') === 'bars';
  const wished = query.get('values');
  const choice = chosenOf(answer, query.get('across'), wished?.split(',') ?? null);
  const { across, values } = choice;
  const drawing = useMemo(() => drawingOf(answer, choice, samples), [answer, samples, across, values.join()]);
  const choose = (name: string, on: boolean): void =>
    setQuery({ values: [...values.filter((other) => other !== name), ...(on ? [name] : [])].join(',') });
  return (
    <>
      <div class="panel-head">
        <label>
          <span class="soft">across</span>
          <select value={across} onChange={(event) => setQuery({ across: event.currentTarget.value })}>
            {answer.columns.map(({ name }) => (
              <option key={name}>{name}</option>
            ))}
            <option value={ASKED}>time of asking</option>
          </select>
        </label>
        <div class="picks" role="group" aria-label="values">
          <span class="soft">values</span>
          {answer.columns
            .filter(({ type }) => isNumeric(type))
            .map(({ name }) => (
              <label key={name}>
                <input
                  type="checkbox"
                  checked={values.includes(name)}
                  disabled={values.includes(name) ? values.length === 1 : values.length === VALUES_MAX}
                  onChange={(event) => choose(name, event.currentTarget.checked)}
                />{' '}
                {name}
              </label>
            ))}
        </div>
      </div>
      {values.length === 0 ? (
        <Empty title="No column of numbers">A chart needs one: SELECT page, views FROM …</Empty>
      ) : drawing.at.length === 0 ? (
        <Empty title="Nothing along the axis">Every row has null there.</Empty>
      ) : (
        <Chart
          title={`${values.join(', ')} by ${across === ASKED ? 'time' : across}`}
          at={drawing.at}
          lines={drawing.lines.map((line, at) => ({ ...line, colour: `c${at + 1}` }))}
          format={figure}
          height={260}
          axis={axisOf(drawing, bars)}
        />
      )}
      {drawing.left === 0 ? null : (
        <p class="panel-head soft">{plural(drawing.left, 'row is', 'rows are')} not drawn; all of them stand below.</p>
      )}
    </>
  );
}

function axisOf({ across, at, texts }: ReturnType<typeof drawingOf>, bars: boolean): Axis {
  const long = (at.at(-1) ?? 0) - (at[0] ?? 0) > DAY_S;
  const format = (value: number): string =>
    across === 'time' ? (long ? dateTime(value * 1000).slice(0, 16) : time(value * 1000)) : figure(value);
  return { kind: across, bars, format, placeOf: (index) => texts[index] ?? format(at[index] ?? 0) };
}

/** As {@link count}, with the decimals of small figures. */
function figure(value: number): string {
  return Number.isInteger(value) || Math.abs(value) >= 1000 ? count(value) : String(Number(value.toPrecision(4)));
}
