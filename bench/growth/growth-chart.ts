import { type Panel, renderChart } from '../render-chart';
import { exponentOf, type Series } from './series';

const COLOUR = '#0b7a4b';

/**
 * Draws a panel for each series, with logarithmic axes and the power law that fits best.
 *
 * @param note what the figures depend on
 * @returns an SVG
 */
export function growthChart(all: readonly Series[], note: string): Promise<string> {
  return renderChart('How the cost grows with the work', [note], all.map(panelOf), all.length);
}

function panelOf({ name, work, cost, points }: Series): Panel {
  return {
    title: `${name}: exponent ${exponentOf(points).toFixed(2)}`,
    width: 280,
    height: 220,
    data: { values: [...points] },
    layer: [
      {
        mark: { type: 'line', color: COLOUR, opacity: 0.5 },
        transform: [{ regression: 'cost', on: 'work', method: 'pow' }],
        encoding: axesOf(work, cost),
      },
      { mark: { type: 'point', filled: true, size: 60, color: COLOUR }, encoding: axesOf(work, cost) },
    ],
  };
}

function axesOf(work: string, cost: string) {
  const scale = { type: 'log', nice: false, padding: 24 } as const;
  return {
    x: { field: 'work', type: 'quantitative', title: work, scale, axis: { grid: false, tickCount: 3 } },
    y: { field: 'cost', type: 'quantitative', title: cost, scale, axis: { gridOpacity: 0.5, tickCount: 5 } },
  } as const;
}
