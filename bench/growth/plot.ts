import { exponentOf, type Point, type Series } from './series';

const PANEL_WIDTH = 280;
const PANEL_HEIGHT = 220;
const LEFT = 56;
const GAP = 32;
const TOP = 70;
const BELOW = 60;
const RADIUS = 4;
const COLOUR = '#0b7a4b';
const QUIET = '#5b6472';

/** A scale of decades: from a value to a place on the axis. */
type Scale = (value: number) => number;

/** A panel for each series, both axes logarithmic, with the line that fits best. The panel behind is white, so that a dark page shows it as well. */
export function plotOf(all: readonly Series[], note: string): string {
  const width = LEFT + all.length * (PANEL_WIDTH + GAP + LEFT) - LEFT;
  const height = TOP + PANEL_HEIGHT + BELOW + 24;
  const panels = all.map((series, index) => panelOf(series, LEFT + index * (PANEL_WIDTH + GAP + LEFT)));
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}"`,
    `  font-family="system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif" font-size="12" fill="#1f2430" role="img">`,
    '<title>How the cost grows with the work</title>',
    `<rect width="${width}" height="${height}" rx="8" fill="#ffffff"/>`,
    text(LEFT, 28, 'How the cost grows with the work', 'font-size="18" font-weight="600"'),
    ...panels,
    text(LEFT, height - 14, note, `font-size="11" fill="${QUIET}"`),
    '</svg>',
    '',
  ].join('\n');
}

function panelOf(series: Series, left: number): string {
  const { points } = series;
  const xOf = scale(
    points.map(({ work }) => work),
    left,
    left + PANEL_WIDTH,
  );
  const yOf = scale(
    points.map(({ cost }) => cost),
    TOP + PANEL_HEIGHT,
    TOP,
  );
  const title = `${series.name}: exponent ${exponentOf(points).toFixed(2)}`;
  return [
    `<rect x="${left}" y="${TOP}" width="${PANEL_WIDTH}" height="${PANEL_HEIGHT}" fill="none" stroke="#d5dae2"/>`,
    text(left, TOP - 24, title, 'font-weight="600"'),
    text(left, TOP - 8, series.cost, `font-size="11" fill="${QUIET}"`),
    text(
      left + PANEL_WIDTH,
      TOP + PANEL_HEIGHT + 34,
      series.work,
      `text-anchor="end" font-size="11" fill="${QUIET}"`,
    ),
    fitOf(points, xOf, yOf),
    ...points.map((point) => markOf(point, xOf, yOf, left)),
  ].join('\n');
}

/** The point, and its values on the two axes. */
function markOf({ work, cost }: Point, xOf: Scale, yOf: Scale, left: number): string {
  const [x, y] = [xOf(work), yOf(cost)];
  return [
    `<circle cx="${x.toFixed(1)}" cy="${y.toFixed(1)}" r="${RADIUS}" fill="${COLOUR}"/>`,
    text(x, TOP + PANEL_HEIGHT + 18, work.toLocaleString('en'), 'text-anchor="middle"'),
    text(left - 8, y + 4, cost.toPrecision(2), 'text-anchor="end"'),
  ].join('\n');
}

/** Through the middle of the logarithms, as steep as the exponent. */
function fitOf(points: readonly Point[], xOf: Scale, yOf: Scale): string {
  const exponent = exponentOf(points);
  const [work, cost] = [
    geometricMean(points.map((point) => point.work)),
    geometricMean(points.map((point) => point.cost)),
  ];
  const ends = [points[0], points.at(-1)].map((point = { work, cost }) => {
    const fitted = cost * (point.work / work) ** exponent;
    return `${xOf(point.work).toFixed(1)},${yOf(fitted).toFixed(1)}`;
  });
  return `<polyline points="${ends.join(' ')}" fill="none" stroke="${COLOUR}" stroke-opacity="0.5"/>`;
}

/** Leaves a tenth of the length at both ends. */
function scale(values: readonly number[], from: number, to: number): Scale {
  const least = Math.log(Math.min(...values));
  const span = Math.log(Math.max(...values)) - least || 1;
  return (value) => from + (to - from) * (0.1 + (0.8 * (Math.log(value) - least)) / span);
}

function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

function text(x: number, y: number, content: string, attributes: string): string {
  const safe = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${attributes}>${safe}</text>`;
}
