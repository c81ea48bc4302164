import type { Figure } from './figures';
import { spreadText } from './format';
import type { Against } from './targets';

const HEADINGS = [
  'row',
  'adapter',
  'events',
  'wall ms',
  'measure',
  'median (min–max)',
  '÷ by-hand',
  '÷ best package',
];
const RIGHT = new Set(['events', 'wall ms', 'median (min–max)', '÷ by-hand', '÷ best package']);

/** The figures as aligned lines, with an empty line between two rows. */
export function tableOf(figures: readonly Figure[]): string {
  const lines = figures.map(cellsOf);
  const widths = HEADINGS.map((_, column) =>
    Math.max(...[HEADINGS, ...lines].map((line) => line[column]?.length ?? 0)),
  );
  const rule = widths.map((width) => '─'.repeat(width));
  const table = [HEADINGS, rule, ...lines].map((line) => aligned(line, widths));
  return table
    .flatMap((line, index) => (isFirstOfGroup(figures, index - 2) ? ['', line] : [line]))
    .join('\n');
}

function isFirstOfGroup(figures: readonly Figure[], index: number): boolean {
  const [before, here] = [figures[index - 1], figures[index]];
  return index > 0 && (here?.row !== before?.row || here?.measure !== before?.measure);
}

function cellsOf(figure: Figure): string[] {
  return [
    figure.row.name,
    figure.adapter.name,
    figure.events.toLocaleString('en'),
    figure.wallMs.median.toFixed(0),
    figure.measure,
    spreadText(figure.value),
    ratioTo('by-hand', figure),
    ratioTo('best package', figure),
  ];
}

function ratioTo(against: Against, { adapter, ratios }: Figure): string {
  const ratio = ratios.get(against);
  if (ratio === undefined) return '';
  return ratio.other === adapter.name ? '1' : spreadText(ratio);
}

function aligned(cells: readonly string[], widths: readonly number[]): string {
  const padded = cells.map((cell, column) => {
    const width = widths[column] ?? 0;
    return RIGHT.has(HEADINGS[column] ?? '') ? cell.padStart(width) : cell.padEnd(width);
  });
  return padded.join('  ').trimEnd();
}
