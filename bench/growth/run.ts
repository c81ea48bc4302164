import { writeFileSync } from 'node:fs';
import { startClient } from '../processes';
import { deliveries } from './deliveries';
import { growthChart } from './growth-chart';
import { publishes } from './publishes';
import { replays } from './replays';
import { exponentOf, type Series } from './series';

/** Exponents this close to 1 cannot be distinguished from it. */
const TOLERANCE = 0.05;

/** Measures how the package's cost grows with the work: prints each series, and draws a chart. */
export async function growth(note: string, svg: string | undefined, json: string | undefined): Promise<void> {
  const client = await startClient('client.ts');
  const all = [await deliveries(client), await publishes(), await replays()];
  await client.stop();
  for (const series of all) console.log(linesOf(series).join('\n'));
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ machine: note, series: all }, null, 2)}\n`);
  if (svg !== undefined) writeFileSync(svg, await growthChart(all, note));
}

function linesOf(series: Series): string[] {
  const exponent = exponentOf(series.points);
  const verdict = exponent <= 1 + TOLERANCE ? 'grows no faster than its work' : 'GROWS FASTER than its work';
  const points = series.points.map(
    ({ work, cost }) =>
      `  ${work.toLocaleString('en')} ${series.work}: ${cost.toPrecision(3)} ${series.cost}`,
  );
  const head = `${series.name}: exponent ${exponent.toFixed(2)}, ${verdict}`;
  return [head, ...points, ...series.notes.map((line) => `  ${line}`), ''];
}
