import type { Figure } from './figures';

/** What a row costs the package beside the row that it should not exceed; one line for each adapter. */
export function comparisonsOf(figures: readonly Figure[]): string[] {
  return figures.flatMap((figure) => {
    const other = otherOf(figure, figures);
    return other === undefined || figure.ratio === undefined ? [] : [comparison(figure, other)];
  });
}

function otherOf({ row, measure, adapter }: Figure, figures: readonly Figure[]): Figure | undefined {
  return figures.find(
    (other) => other.row.name === row.noMoreThan && other.measure === measure && other.adapter === adapter,
  );
}

function comparison({ row, adapter, measure, value }: Figure, other: Figure): string {
  const verdict = value.median <= other.value.median ? 'met' : 'MISSED';
  const costs = `${value.median.toFixed(2)} ${measure}, ${other.row.name} ${other.value.median.toFixed(2)}`;
  return `${row.name} costs ${adapter} ${costs}: no more, ${verdict}.`;
}
