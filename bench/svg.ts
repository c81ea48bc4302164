import type { Kind } from './adapter';
import type { Figure, Spread } from './figures';
import { short } from './format';

const WIDTH = 960;
const MARGIN = 24;
const GAP = 32;
const COLUMNS = 2;
const PANEL_WIDTH = (WIDTH - 2 * MARGIN - GAP * (COLUMNS - 1)) / COLUMNS;
/** In front of the bars, for the adapters' names. */
const NAMES_WIDTH = 152;
/** Behind the longest bar, for its figure. */
const VALUES_WIDTH = 118;
const BARS_WIDTH = PANEL_WIDTH - NAMES_WIDTH - VALUES_WIDTH;
const HEAD_HEIGHT = 56;
const BAR_STEP = 20;
const BAR_HEIGHT = 13;
const PANEL_GAP = 26;
const TOP = 86;
const LINE_LENGTH = 74;

const COLOURS: Readonly<Record<Kind, string>> = {
  ours: '#0b7a4b',
  'by-hand': '#3b4252',
  package: '#8fa3bf',
  program: '#b48a3c',
  floor: '#d5dae2',
};

const LEGEND: readonly (readonly [Kind, string])[] = [
  ['ours', 'express-yield'],
  ['by-hand', 'by hand on Express'],
  ['package', 'other packages'],
  ['program', 'nchan in nginx'],
  ['floor', 'Node without a framework'],
];

/**
 * A chart of each row's first measure, a panel each, the cheapest first. Each panel has its own scale, which begins at
 * nothing. The panel behind is white, so that a dark page shows it as well.
 *
 * @param note what the figures depend on
 */
export function chartOf(figures: readonly Figure[], note: string): string {
  const panels = panelsOf(figures);
  const lines = linesOf(panels);
  const heights = lines.map((line) => Math.max(...line.map(heightOf)));
  const notes = wrapped(note, 150);
  const bottom = TOP + heights.reduce((sum, height) => sum + height + PANEL_GAP, 0);
  const height = bottom + notes.length * 15 + MARGIN - 8;
  let y = TOP;
  const body = lines.map((line, index) => {
    const drawn = line.map((panel, column) => drawnPanel(panel, MARGIN + column * (PANEL_WIDTH + GAP), y));
    y += (heights[index] ?? 0) + PANEL_GAP;
    return drawn.join('\n');
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}"`,
    `  font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="12" fill="#1f2430" role="img">`,
    '<title>What it costs a server to send Server-Sent Events</title>',
    `<rect width="${WIDTH}" height="${height}" rx="8" fill="#ffffff"/>`,
    `<text x="${MARGIN}" y="36" font-size="18" font-weight="600">What it costs a server to send Server-Sent Events</text>`,
    `<text x="${WIDTH - MARGIN}" y="36" text-anchor="end" fill="#5b6472">shorter is cheaper; each panel has its own scale</text>`,
    drawnLegend(),
    ...body,
    ...notes.map(
      (text, index) =>
        `<text x="${MARGIN}" y="${bottom + 10 + index * 15}" font-size="11" fill="#5b6472">${escaped(text)}</text>`,
    ),
    '</svg>',
    '',
  ].join('\n');
}

/** The figures of each row's first measure, from the cheapest to the dearest. */
function panelsOf(figures: readonly Figure[]): Figure[][] {
  const rows = [...new Set(figures.map(({ row }) => row))];
  return rows.map((row) =>
    figures
      .filter((figure) => figure.row === row && figure.measure === row.measures[0])
      .filter(({ value }) => !Number.isNaN(value.median))
      .sort((a, b) => a.value.median - b.value.median),
  );
}

/** So many panels beside each other. */
function linesOf(panels: readonly Figure[][]): Figure[][][] {
  const drawn = panels.filter((panel) => panel.length > 0);
  return Array.from({ length: Math.ceil(drawn.length / COLUMNS) }, (_, index) =>
    drawn.slice(index * COLUMNS, (index + 1) * COLUMNS),
  );
}

function heightOf(panel: readonly Figure[]): number {
  return HEAD_HEIGHT + panel.length * BAR_STEP;
}

function drawnPanel(panel: readonly Figure[], x: number, y: number): string {
  const [first] = panel;
  if (first === undefined) return '';
  const scale = BARS_WIDTH / Math.max(...panel.map(({ value }) => value.max));
  const about = wrapped(first.row.about, LINE_LENGTH).slice(0, 2);
  return [
    `<g transform="translate(${x} ${y})">`,
    `<text font-size="14" font-weight="600" y="4">${escaped(first.row.name)}</text>`,
    `<text x="${PANEL_WIDTH}" y="4" text-anchor="end" fill="#5b6472">${escaped(first.measure)}</text>`,
    ...about.map(
      (text, line) => `<text y="${21 + line * 14}" font-size="11" fill="#5b6472">${escaped(text)}</text>`,
    ),
    ...panel.map((figure, index) => drawnBar(figure, scale, HEAD_HEIGHT - 10 + index * BAR_STEP)),
    '</g>',
  ].join('\n');
}

function drawnBar({ adapter, value }: Figure, scale: number, y: number): string {
  const middle = y + BAR_HEIGHT / 2;
  const weight = adapter.kind === 'ours' ? ' font-weight="600"' : '';
  const behind = NAMES_WIDTH + value.max * scale + 6;
  return [
    `<text x="${NAMES_WIDTH - 8}" y="${middle + 4}" text-anchor="end"${weight}>${escaped(adapter.name)}</text>`,
    `<rect x="${NAMES_WIDTH}" y="${y}" width="${rounded(Math.max(1, value.median * scale))}" height="${BAR_HEIGHT}" fill="${COLOURS[adapter.kind]}"/>`,
    drawnRange(value, scale, middle),
    `<text x="${rounded(behind)}" y="${middle + 4}"${weight}>${short(value.median)}`,
    `<tspan font-size="10" font-weight="400" fill="#5b6472"> (${short(value.min)}–${short(value.max)})</tspan></text>`,
  ].join('');
}

function drawnRange({ min, max }: Spread, scale: number, y: number): string {
  const [from, to] = [min, max].map((value) => rounded(NAMES_WIDTH + value * scale));
  return `<line x1="${from}" y1="${y}" x2="${to}" y2="${y}" stroke="#1f2430" stroke-width="1.5" opacity="0.55"/>`;
}

function drawnLegend(): string {
  const width = (WIDTH - 2 * MARGIN) / LEGEND.length;
  return LEGEND.map(([kind, text], index) => {
    const x = MARGIN + index * width;
    return `<rect x="${x}" y="50" width="12" height="12" fill="${COLOURS[kind]}"/><text x="${x + 18}" y="60">${text}</text>`;
  }).join('\n');
}

function wrapped(text: string, length: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > length) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

function rounded(value: number): string {
  return value.toFixed(1);
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
