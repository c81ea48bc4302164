import { max, median, min } from 'simple-statistics';
import type { Adapter } from './adapter';
import { BASELINE } from './adapters';
import type { Measure, Row } from './rows';
import type { Sample } from './sample';
import type { Against } from './targets';

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** One adapter's result in one measure of one row, over all rounds. */
export interface Figure {
  readonly row: Row;
  readonly measure: Measure;
  readonly adapter: Adapter;
  readonly events: number;
  readonly wallMs: Spread;
  readonly value: Spread;
  /** Relative to another adapter's sample of the same round. */
  readonly ratios: ReadonlyMap<Against, Ratio>;
}

export interface Ratio extends Spread {
  /** The other adapter's name. */
  readonly other: string;
}

const AGAINST: readonly Against[] = ['by-hand', 'best package', 'nchan', 'best other'];

/** The figures of a row, the adapters in the order of the list. */
export function figuresOf(row: Row, adapters: readonly Adapter[], samples: readonly Sample[]): Figure[] {
  const own = samples.filter((sample) => sample.row === row.name);
  const measured = adapters.filter(({ name }) => own.some(({ adapter }) => adapter === name));
  return row.measures.flatMap((measure) =>
    measured.map((adapter) => figureOf(row, measure, adapter, measured, own)),
  );
}

function figureOf(
  row: Row,
  measure: Measure,
  adapter: Adapter,
  measured: readonly Adapter[],
  samples: readonly Sample[],
): Figure {
  const own = samples.filter((sample) => sample.adapter === adapter.name);
  const ratios = new Map<Against, Ratio>();
  for (const against of AGAINST) {
    const other = bestOf(against, measure, measured, samples);
    if (other !== undefined) ratios.set(against, ratioOf(own, other.name, measure, samples));
  }
  return {
    row,
    measure,
    adapter,
    events: own[0]?.events ?? 0,
    wallMs: spreadOf(own.map(({ wallMs }) => wallMs)),
    value: spreadOf(own.map((sample) => measuredBy(sample, measure))),
    ratios,
  };
}

/** Of the matching adapters, the one with the lowest median. */
function bestOf(
  against: Against,
  measure: Measure,
  measured: readonly Adapter[],
  samples: readonly Sample[],
): Adapter | undefined {
  const medianOf = ({ name }: Adapter) =>
    spreadOf(samples.filter(({ adapter }) => adapter === name).map((sample) => measuredBy(sample, measure)))
      .median;
  const others = measured.filter((adapter) => isMatch(adapter, against));
  return others.sort((a, b) => medianOf(a) - medianOf(b))[0];
}

function isMatch({ name, kind }: Adapter, against: Against): boolean {
  if (against === 'by-hand') return name === BASELINE;
  if (against === 'best package') return kind === 'package';
  if (against === 'nchan') return name === 'nchan';
  return kind === 'package' || kind === 'program';
}

/** Compares each sample with that of the same round. */
function ratioOf(own: readonly Sample[], other: string, measure: Measure, samples: readonly Sample[]): Ratio {
  const ratios = own.map((sample) => {
    const base = samples.find(({ adapter, round }) => adapter === other && round === sample.round);
    return base === undefined ? Number.NaN : measuredBy(sample, measure) / measuredBy(base, measure);
  });
  return { other, ...spreadOf(ratios) };
}

function measuredBy({ values }: Sample, measure: Measure): number {
  return values[measure] ?? Number.NaN;
}

/** Ignores `NaN`: a measure that a sample does not have. */
export function spreadOf(values: readonly number[]): Spread {
  const measured = values.filter((value) => !Number.isNaN(value));
  if (measured.length === 0) return { median: Number.NaN, min: Number.NaN, max: Number.NaN };
  return { median: median(measured), min: min(measured), max: max(measured) };
}
