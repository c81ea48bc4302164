import type { Figure, Ratio, Spread } from './figures';
import { short } from './format';
import type { Target } from './targets';

/** Each target of a row and whether it is met: a line for each of the package's adapters in the row. */
export function verdictsOf(figures: readonly Figure[]): string[] {
  return figures
    .filter(({ adapter }) => adapter.kind === 'ours')
    .flatMap((figure) =>
      figure.row.targets
        .filter(({ measure }) => measure === figure.measure)
        .map((target) => verdictOf(figure, target)),
    );
}

function verdictOf(figure: Figure, target: Target): string {
  const { row, adapter, measure } = figure;
  const name = `${row.name}, ${adapter.name}, ${measure}: `;
  if (target.of === undefined) return `${name}at most ${target.most}; ${measured(figure.value, target.most)}`;
  const bound = target.most === 1 ? `below ${target.of}` : `at most ${target.most} of ${target.of}`;
  const ratio = figure.ratios.get(target.of);
  if (ratio === undefined) return `${name}${bound}; not compared`;
  return `${name}${bound}${nameOf(ratio, target)}; ${measured(ratio, target.most)}`;
}

function nameOf({ other }: Ratio, { of }: Target): string {
  return other === of ? '' : ` (${other})`;
}

/** Judges by the median. If the range spans the bound, more rounds are needed. */
function measured({ median, min, max }: Spread, most: number): string {
  const verdict = median <= most ? 'met' : 'MISSED';
  const doubt = min <= most && max > most ? ', but the range spans it' : '';
  return `${short(median)} (${short(min)}–${short(max)}): ${verdict}${doubt}`;
}
