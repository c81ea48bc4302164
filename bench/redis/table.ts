import type { Spread } from '../figures';
import type { Faults, Figure } from './figures';

/** The figures as aligned lines. */
export function figureTable(figures: readonly Figure[]): string {
  const headings = ['row', 'measure', 'contender', 'median (min–max)', '÷ by-hand'];
  const cells = figures.map(({ row, measure, contender, value, ratio }) => [
    row,
    measure,
    contender,
    shown(value),
    ratio === undefined ? '1' : shown(ratio),
  ]);
  return tableOf(headings, cells, 3);
}

/** The subscribers' faults, as aligned lines. */
export function faultTable(faults: readonly Faults[]): string {
  const headings = ['row', 'contender', 'delivered', 'lost', 'duplicated', 'late', 'orders'];
  const cells = faults.map(({ row, contender, received, lost, duplicated, late, orders }) => [
    row,
    contender,
    ...[received, lost, duplicated, late, orders].map((count) => count.toLocaleString('en')),
  ]);
  return tableOf(headings, cells, 2);
}

/** @param texts how many columns contain text and are left-aligned; the others contain figures */
function tableOf(
  headings: readonly string[],
  cells: ReadonlyArray<readonly string[]>,
  texts: number,
): string {
  const widths = headings.map((_, column) =>
    Math.max(...[headings, ...cells].map((line) => line[column]?.length ?? 0)),
  );
  const rule = widths.map((width) => '─'.repeat(width));
  const aligned = [headings, rule, ...cells].map((line) => {
    const padded = line.map((cell, column) => {
      const width = widths[column] ?? 0;
      return column < texts ? cell.padEnd(width) : cell.padStart(width);
    });
    return padded.join('  ').trimEnd();
  });
  return aligned.flatMap((line, index) => (isNewRow(cells, index - 2) ? ['', line] : [line])).join('\n');
}

function isNewRow(cells: ReadonlyArray<readonly string[]>, index: number): boolean {
  return index > 0 && cells[index]?.[0] !== cells[index - 1]?.[0];
}

function shown({ median, min, max }: Spread): string {
  return `${short(median)} (${short(min)}–${short(max)})`;
}

function short(value: number): string {
  if (value >= 10_000) return `${Math.round(value / 1_000)}k`;
  return value.toFixed(value < 100 ? 2 : 0);
}
