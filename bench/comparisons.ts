import type { Figure } from './figures';
import { short } from './format';

/** What a row costs the package beside the row that it should not exceed; one line for each of its adapters. */
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
