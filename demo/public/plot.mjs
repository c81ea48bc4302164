import uPlot from '/uplot/uPlot.esm.js';
import { element } from './dom.mjs';

/** How much time the plot shows, milliseconds. */
export const SPAN_MS = 20_000;

/** For the colour of each connection: prices that arrived live, and prices that were caught up. */
const SERIES = ['odd', 'even'].flatMap((parity) => [
  { parity, late: false, width: 2 },
  { parity, late: true, width: 3.5, dash: [0.1, 6], cap: 'round' },
]);

const parityOf = (connection) => (connection % 2 === 0 ? 'even' : 'odd');

/** Draws prices over time, each in the colour of the connection that delivered it. */
export class Plot {
  #card;
  #frame;
  #plot;
  #points = [];
  #legend = '';

  constructor(card) {
    this.#card = card;
    this.#frame = card.querySelector('.plot');
    this.#plot = new uPlot(this.#options(), [[], ...SERIES.map(() => [])], this.#frame);
    new ResizeObserver(() => this.#plot.setSize(this.#size)).observe(this.#frame);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#plot.redraw());
  }

  draw(points) {
    this.#points = points;
    this.#plot.setData(columnsOf(points));
    this.#card.querySelector('.price').textContent = points.at(-1).price.toFixed(2);
    this.#showLegend(stretchesOf(points));
  }

  get #size() {
    return { width: this.#frame.clientWidth, height: this.#frame.clientHeight };
  }

  #options() {
    const style = getComputedStyle(this.#frame);
    const colour = (name) => () => style.getPropertyValue(name);
    const newest = ({ data }, series) => (data[series].at(-1) == null ? [] : [data[series].length - 1]);
    const series = SERIES.map(({ parity, late, ...line }) => {
      const stroke = colour(parity === 'even' ? '--second' : '--accent');
      return { ...line, stroke, points: { show: true, filter: newest, size: 9, stroke, fill: stroke } };
    });
    return {
      ...this.#size,
      padding: [6, 0, 6, 6],
      cursor: { show: false },
      legend: { show: false },
      series: [{}, ...series],
      scales: {
        x: { time: false, range: (_, _least, most) => [most === null ? null : most - SPAN_MS, most] },
        y: { range: (_, least, most) => rangeOf(least, most) },
      },
      axes: [
        { show: false },
        {
          side: 1,
          size: 48,
          gap: 14,
          space: 32,
          font: `12px ${style.getPropertyValue('--mono')}`,
          stroke: colour('--muted'),
          grid: { stroke: colour('--line'), width: 1 },
          ticks: { show: false },
        },
      ],
      hooks: { drawClear: [(plot) => this.#drawBackground(plot, style)] },
    };
  }

  /** Shades the time that was caught up, and marks gaps. */
  #drawBackground(plot, style) {
    const { ctx, bbox } = plot;
    const left = (at) => Math.max(bbox.left, plot.valToPos(at, 'x', true));
    for (const { parity, late, afterGap, from, to } of stretchesOf(this.#points)) {
      ctx.globalAlpha = 0.14;
      ctx.fillStyle = style.getPropertyValue(parity === 'even' ? '--second' : '--accent');
      if (late) ctx.fillRect(left(from), bbox.top, left(to) - left(from), bbox.height);
      ctx.globalAlpha = 1;
      ctx.fillStyle = style.getPropertyValue('--wrong');
      if (afterGap && left(from) > bbox.left)
        ctx.fillRect(left(from), bbox.top, uPlot.pxRatio * 2, bbox.height);
    }
  }

  /** Names what the plot shows: connections, what they caught up, and gaps. */
  #showLegend(stretches) {
    const key = JSON.stringify(stretches.map(({ from, to, ...shown }) => shown));
    if (key === this.#legend) return;
    this.#legend = key;
    const entries = stretches.flatMap(({ connection, parity, late, afterGap }) => {
      const text = late ? 'caught up' : `connection ${connection}`;
      const line = element('li', { className: late ? 'line late' : 'line' }, text);
      line.dataset.connection = parity;
      return afterGap ? [element('li', { className: 'gap' }, 'gap'), line] : [line];
    });
    this.#card.querySelector('.legend').replaceChildren(...entries);
  }
}

/** The times, and for each series its prices, `null` where it has none. */
function columnsOf(points) {
  const rows = points.flatMap((point, index) => {
    const next = points[index + 1];
    // A stretch starts where the previous one ends, except after a gap.
    const shown = next === undefined || next.afterGap ? [point] : [point, next];
    const row = [point.at, ...SERIES.map((series) => (shown.some(isOf(series)) ? point.price : null))];
    return next?.afterGap ? [row, [(point.at + next.at) / 2, ...SERIES.map(() => null)]] : [row];
  });
  return [0, ...SERIES].map((_, column) => rows.map((row) => row[column]));
}

const isOf = (series) => (point) =>
  parityOf(point.connection) === series.parity && point.late === series.late;

/** Divides the points into stretches that are drawn alike. */
function stretchesOf(points) {
  const stretches = [];
  for (const { at, connection, late, afterGap } of points) {
    const last = stretches.at(-1);
    if (last?.connection === connection && last.late === late && !afterGap) last.to = at;
    else {
      const from = afterGap ? at : (last?.to ?? at);
      stretches.push({ connection, parity: parityOf(connection), late, afterGap, from, to: at });
    }
  }
  return stretches;
}

/** From a little below the lowest price to a little above the highest. */
function rangeOf(least, most) {
  if (least === null) return [null, null];
  const margin = Math.max(0.5, (most - least) * 0.12);
  return [least - margin, most + margin];
}
