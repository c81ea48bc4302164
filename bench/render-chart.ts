import type { TopLevelSpec } from 'vega-lite';

/** One of several charts in a picture. */
export type Panel = Extract<TopLevelSpec, { concat: unknown }>['concat'][number];

/** A part of `vega` that its types leave out. */
interface WithTextMetrics {
  readonly textMetrics: { width(item: { readonly fontSize?: number }, text: unknown): number };
}

/** The background is white, so that a dark page shows the chart as well. */
const STYLE = {
  background: '#ffffff',
  padding: 24,
  config: {
    font: "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif",
    view: { stroke: null },
    title: { anchor: 'start', color: '#1f2430', subtitleColor: '#5b6472', limit: 0 },
    axis: { labelColor: '#1f2430', titleColor: '#5b6472', titleFontWeight: 'normal' },
  },
} as const;

/** The mean width of a character. Without a canvas Vega assumes 0.8, which would leave wide margins. */
const CHARACTER_EM = 0.56;

/**
 * Renders panels side by side with Vega-Lite.
 *
 * @param columns how many are in a row
 * @param notes lines below the title
 * @returns an SVG
 */
export async function renderChart(
  title: string,
  notes: readonly string[],
  panels: readonly Panel[],
  columns: number,
): Promise<string> {
  // Both are ES modules.
  const [vega, { compile }] = await Promise.all([import('vega'), import('vega-lite')]);
  const { textMetrics } = vega as unknown as WithTextMetrics;
  textMetrics.width = ({ fontSize = 11 }, text) => CHARACTER_EM * String(text).length * fontSize;
  const { spec } = compile({
    ...STYLE,
    title: { text: title, subtitle: [...notes], fontSize: 18, offset: 14 },
    columns,
    spacing: 28,
    concat: [...panels],
    resolve: { scale: { x: 'independent', y: 'independent' } },
  });
  const svg = await new vega.View(vega.parse(spec), { renderer: 'none' }).toSVG();
  // One title describes the picture; a role for each bar would only repeat its label.
  const image = svg.replace(/ (?:role|aria-[a-z]+)="[^"]*"/g, '');
  return `${image.replace('>', ` role="img"><title>${title}</title>`)}\n`;
}
