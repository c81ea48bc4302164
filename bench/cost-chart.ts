import type { Kind } from './adapter';
import type { Figure } from './figures';
import { short } from './format';
import { type Panel, renderChart } from './render-chart';

const COLUMNS = 2;
const BARS_WIDTH = 210;
const BAR_STEP = 20;

/** For the names of the adapters. */
const NAMES_WIDTH = 150;

/** Characters in a line of a panel's description, and of the note. */
const LINE = 82;
const NOTE_LINE = 150;

/** What the legend says of each kind, and its colour. */
const KINDS: Readonly<Record<Kind, readonly [text: string, colour: string]>> = {
  ours: ['express-yield', '#0b7a4b'],
  'by-hand': ['by hand on Express', '#3b4252'],
  package: ['other packages', '#8fa3bf'],
  program: ['nchan in nginx', '#b48a3c'],
  floor: ['Node without a framework', '#d5dae2'],
};

/**
 * Draws each row's first measure, a panel for each row, the cheapest adapter first. Each panel has its own scale, which
 * starts at 0.
 *
 * @param note what the figures depend on
 * @returns an SVG
 */
export function costChart(figures: readonly Figure[], note: string): Promise<string> {
  const rows = [...new Set(figures.map(({ row }) => row))];
  const panels = rows.map((row) => measuredIn(row, figures)).filter((panel) => panel.length > 0);
  const notes = ['Shorter is cheaper. Each panel has its own scale.', ...linesOf(note, NOTE_LINE)];
  const title = 'What it costs a server to send Server-Sent Events';
  return renderChart(title, notes, panels.map(panelOf), COLUMNS);
}

function measuredIn(row: Figure['row'], figures: readonly Figure[]): Figure[] {
  return figures
    .filter((figure) => figure.row === row && figure.measure === row.measures[0])
    .filter(({ value }) => !Number.isNaN(value.median))
    .sort((a, b) => a.value.median - b.value.median);
}

function panelOf(panel: readonly Figure[]): Panel {
  const { row, measure } = panel[0] as Figure;
  const values = panel.map(({ adapter, value: { median, min, max } }) => ({
    adapter: adapter.name,
    kind: KINDS[adapter.kind][0],
    weight: adapter.kind === 'ours' ? 'bold' : 'normal',
    median,
    min,
    max,
    text: `${short(median)} (${short(min)}–${short(max)})`,
  }));
  const subtitle = linesOf(row.about, LINE);
  return {
    title: { text: `${row.name}: ${measure}`, subtitle, fontSize: 13, subtitleFontSize: 11 },
    width: BARS_WIDTH,
    height: { step: BAR_STEP },
    data: { values },
    encoding: { y: { field: 'adapter', type: 'nominal', sort: null, title: null, axis: NAMES } },
    layer: [
      {
        mark: { type: 'bar', height: 13 },
        encoding: { x: { field: 'median', type: 'quantitative', axis: null }, color: COLOUR },
      },
      {
        mark: { type: 'rule', color: '#1f2430', opacity: 0.55, strokeWidth: 1.5 },
        encoding: { x: { field: 'min', type: 'quantitative' }, x2: { field: 'max' } },
      },
      {
        mark: { type: 'text', align: 'left', dx: 6, color: '#1f2430', fontWeight: { expr: 'datum.weight' } },
        encoding: {
          x: { field: 'max', type: 'quantitative' },
          text: { field: 'text', type: 'nominal' },
        },
      },
    ],
  };
}

const NAMES = {
  ticks: false,
  domain: false,
  labelPadding: 8,
  labelFontSize: 12,
  labelLimit: 0,
  minExtent: NAMES_WIDTH,
  maxExtent: NAMES_WIDTH,
} as const;

const COLOUR = {
  field: 'kind',
  type: 'nominal' as const,
  scale: {
    domain: Object.values(KINDS).map(([text]) => text),
    range: Object.values(KINDS).map(([, colour]) => colour),
  },
  legend: { orient: 'top' as const, title: null, symbolType: 'square', labelFontSize: 12, labelLimit: 0 },
};

/** Breaks a text into lines between words. */
function linesOf(text: string, length: number): string[] {
  return text.match(new RegExp(`.{1,${length}}(?: |$)`, 'g')) ?? [];
}
