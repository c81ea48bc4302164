import { element, svg } from './dom.mjs';

/** How much time the plot shows, milliseconds. */
export const SPAN_MS = 20_000;

/** The plot's own units, whatever its size on the screen. */
const WIDTH = 1000;
const HEIGHT = 100;

const STEPS = [0.5, 1, 2, 5, 10, 20, 50];

/** Draws prices over time, each in the colour of the connection that it came over. */
export function draw(card, points) {
  const newest = points.at(-1);
  const { low, high, ticks } = scaleOf(points.map(({ price }) => price));
  const x = ({ at }) => round((1 - (newest.at - at) / SPAN_MS) * WIDTH);
  const y = ({ price }) => round((1 - (price - low) / (high - low)) * HEIGHT);

  const rules = ticks.map((price) => svg('path', { class: 'rule', d: `M0 ${y({ price })}H${WIDTH}` }));
  const lines = stretchesOf(points).flatMap((stretch) => drawStretch(stretch, x, y));
  const gaps = points
    .filter(({ afterGap }) => afterGap)
    .map((point) => svg('path', { class: 'gap', d: `M${x(point)} 0V${HEIGHT}` }));
  card.querySelector('.plot svg').replaceChildren(...rules, ...lines, ...gaps);

  const labels = ticks.map((price) => element('span', { style: `top: ${y({ price })}%` }, price));
  card.querySelector('.scale').replaceChildren(...labels);
  card.querySelector('.price').textContent = newest.price.toFixed(2);
  const dot = card.querySelector('.dot');
  dot.style.top = `${y(newest)}%`;
  dot.dataset.connection = newest.connection;
}

function drawStretch(stretch, x, y) {
  const [{ late, connection }] = stretch.slice(-1);
  const d = `M${stretch.map((point) => `${x(point)} ${y(point)}`).join('L')}`;
  const line = svg('path', { class: late ? 'line late' : 'line', 'data-connection': connection, d });
  if (!late) return [line];
  const from = x(stretch[0]);
  const width = x(stretch.at(-1)) - from;
  return [
    svg('rect', { class: 'away', 'data-connection': connection, x: from, y: 0, width, height: HEIGHT }),
    line,
  ];
}

/** Points that are drawn alike, each stretch from the end of the one before; but nothing joins the two sides of a gap. */
function stretchesOf(points) {
  const stretches = [];
  for (const [index, point] of points.entries()) {
    const before = points[index - 1];
    if (before?.late === point.late && before.connection === point.connection && !point.afterGap)
      stretches.at(-1).push(point);
    else stretches.push(before === undefined || point.afterGap ? [point] : [before, point]);
  }
  return stretches;
}

/** From a little below the lowest to a little above the highest, with a few round numbers between. */
function scaleOf(prices) {
  const least = Math.min(...prices);
  const most = Math.max(...prices);
  const margin = Math.max(0.5, (most - least) * 0.12);
  const low = least - margin;
  const high = most + margin;
  const step = STEPS.find((size) => (high - low) / size < 6) ?? 100;
  const first = Math.ceil(low / step) * step;
  const ticks = Array.from(
    { length: Math.floor((high - first) / step) + 1 },
    (_, index) => first + index * step,
  );
  return { low, high, ticks };
}

const round = (number) => Number(number.toFixed(2));
