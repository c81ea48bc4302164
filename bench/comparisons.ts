import type { Figure } from './figures';
import { short } from './format';

/** Compares a row's cost with that of the row that it should not exceed; a line for each adapter of the package. */
export function comparisonsOf(figures: readonly Figure[]): string[] {
  return figures.flatMap((figure) => {
    const other = otherOf(figure, figures);
    return other === undefined || figure.adapter.kind !== 'ours' ? [] : [comparison(figure, other)];
  });
}

function otherOf({ row, measure, adapter }: Figure, figures: readonly Figure[]): Figure | undefined {
  return figures.find(
    (other) => other.row.name === row.noMoreThan && other.measure === measure && other.adapter === adapter,
  );
}

function comparison({ row, adapter, measure, value }: Figure, other: Figure): string {
  const verdict = value.median <= other.value.median ? 'met' : 'MISSED';
  const costs = `${short(value.median)} ${measure}, ${other.row.name} ${short(other.value.median)}`;
  return `${row.name} costs ${adapter.name} ${costs}: no more, ${verdict}.`;
}
