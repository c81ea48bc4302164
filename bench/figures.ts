import { BASELINE } from './adapters';
import type { Measure, Row } from './rows';
import type { Sample } from './sample';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** What the rounds say of one adapter in one measure of one row. */
export interface Figure {
  readonly row: Row;
  readonly measure: Measure;
  readonly adapter: string;
  readonly events: number;
  readonly wallMs: Spread;
  readonly value: Spread;
  /** To the baseline of the same round; `undefined` for the baseline itself. */
  readonly ratio: Spread | undefined;
}

export function figuresOf(row: Row, samples: readonly Sample[]): Figure[] {
  const own = samples.filter((sample) => sample.row === row.name);
  const adapters = [...new Set(own.map(({ adapter }) => adapter))];
  return row.measures.flatMap((measure) => adapters.map((adapter) => figureOf(row, measure, adapter, own)));
}

function figureOf(row: Row, measure: Measure, adapter: string, samples: readonly Sample[]): Figure {
  const own = samples.filter((sample) => sample.adapter === adapter);
  return {
    row,
    measure,
    adapter,
    events: own[0]?.events ?? 0,
    wallMs: spreadOf(own.map(({ wallMs }) => wallMs)),
    value: spreadOf(own.map(({ values }) => values[measure])),
    ratio:
      adapter === BASELINE.name
        ? undefined
        : spreadOf(own.map((sample) => ratioOf(sample, measure, samples))),
  };
}

function ratioOf({ round, values }: Sample, measure: Measure, samples: readonly Sample[]): number {
  const base = samples.find((sample) => sample.adapter === BASELINE.name && sample.round === round);
  return values[measure] / (base?.values[measure] ?? Number.NaN);
}

function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (index: number) => sorted[index] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return {
    median: (at(Math.floor(middle)) + at(Math.ceil(middle))) / 2,
    min: at(0),
    max: at(sorted.length - 1),
  };
}
