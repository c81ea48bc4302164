import type { Figure, Spread } from './figures';

const HEADINGS = [
  'row',
  'adapter',
  'events',
  'wall ms',
  'measure',
  'median (min–max)',
  '÷ by-hand',
  'target',
];
const RIGHT = new Set(['events', 'wall ms', 'median (min–max)', '÷ by-hand']);

/** The figures as aligned lines, an empty one between two rows. */
export function tableOf(figures: readonly Figure[]): string {
  const lines = figures.map(cellsOf);
  const widths = HEADINGS.map((_, column) =>
    Math.max(...[HEADINGS, ...lines].map((line) => line[column]?.length ?? 0)),
  );
  const rule = widths.map((width) => '─'.repeat(width));
  const table = [HEADINGS, rule, ...lines].map((line) => aligned(line, widths));
  return table.flatMap((line, index) => (isFirstOfRow(figures, index - 2) ? ['', line] : [line])).join('\n');
}

function isFirstOfRow(figures: readonly Figure[], index: number): boolean {
  return index > 0 && figures[index]?.row !== figures[index - 1]?.row;
}

function cellsOf(figure: Figure): string[] {
  return [
    figure.row.name,
    figure.adapter,
    figure.events.toLocaleString('en'),
    figure.wallMs.median.toFixed(0),
    figure.measure,
    shown(figure.value),
    figure.ratio === undefined ? '1' : shown(figure.ratio),
    targetOf(figure),
  ];
}

function targetOf({ row, measure, ratio }: Figure): string {
  const target = row.targets.find((known) => known.measure === measure && known.of === 'by-hand');
  if (target === undefined || ratio === undefined) return '';
  return `≤ ${target.most} ${ratio.median <= target.most ? 'met' : 'MISSED'}`;
}

function shown({ median, min, max }: Spread): string {
  return `${short(median)} (${short(min)}–${short(max)})`;
}

function short(value: number): string {
  return value.toFixed(value < 100 ? 2 : 0);
}

function aligned(cells: readonly string[], widths: readonly number[]): string {
  const padded = cells.map((cell, column) => {
    const width = widths[column] ?? 0;
    return RIGHT.has(HEADINGS[column] ?? '') ? cell.padStart(width) : cell.padEnd(width);
  });
  return padded.join('  ').trimEnd();
}
