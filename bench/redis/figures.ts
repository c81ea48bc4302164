import { type Spread, spreadOf } from '../figures';
import { BASELINE } from './contenders';
import type { Measure, Row } from './rows';
import type { Sample } from './sample';

/** One contender's result in one measure of one row, over all rounds. */
export interface Figure {
  readonly row: string;
  readonly contender: string;
  readonly measure: Measure;
  readonly value: Spread;
  /** Relative to the baseline of the same round; `undefined` for the baseline itself. */
  readonly ratio: Spread | undefined;
}

/** The faults that the subscribers of one contender have seen in all rounds of one row. */
export interface Faults {
  readonly row: string;
  readonly contender: string;
  readonly received: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly late: number;
  /** The largest number of different orders of events in one round. */
  readonly orders: number;
}

export function figuresOf(row: Row, samples: readonly Sample[]): Figure[] {
  const own = samples.filter((sample) => sample.row === row.name);
  return row.measures.flatMap((measure) =>
    contendersOf(own).map((contender) => figureOf(contender, measure, own)),
  );
}

export function faultsOf(row: Row, samples: readonly Sample[]): Faults[] {
  const own = samples.filter((sample) => sample.row === row.name);
  return contendersOf(own).map((contender) => {
    const rounds = own.filter((sample) => sample.contender === contender);
    const sum = (field: keyof Sample['total']) => rounds.reduce((all, { total }) => all + total[field], 0);
    const orders = Math.max(...rounds.map((sample) => sample.orders));
    const [received, lost, duplicated, late] = [sum('received'), sum('lost'), sum('duplicated'), sum('late')];
    return { row: row.name, contender, received, lost, duplicated, late, orders };
  });
}

function contendersOf(samples: readonly Sample[]): string[] {
  return [...new Set(samples.map(({ contender }) => contender))];
}

function figureOf(contender: string, measure: Measure, samples: readonly Sample[]): Figure {
  const own = samples.filter((sample) => sample.contender === contender);
  return {
    row: own[0]?.row ?? '',
    contender,
    measure,
    value: spreadOf(own.map(({ values }) => values[measure])),
    ratio:
      contender === BASELINE.name
        ? undefined
        : spreadOf(own.map((sample) => ratioOf(sample, measure, samples))),
  };
}

function ratioOf({ round, values }: Sample, measure: Measure, samples: readonly Sample[]): number {
  const base = samples.find((sample) => sample.contender === BASELINE.name && sample.round === round);
  return values[measure] / (base?.values[measure] ?? Number.NaN);
}
