/**
 * The quality of a media type for a client, from 0 (not acceptable) to 1, by its `Accept` header (RFC 9110 12.5.1): the most
 * specific range that matches decides. Without a header every type is acceptable.
 *
 * @param type in lower case, without parameters
 */
export function qualityOf(header: string | undefined, type: string): number {
  const ranges = (header ?? '')
    .toLowerCase()
    .split(',')
    .filter((range) => range.trim() !== '');
  if (ranges.length === 0) return 1;
  // From the least to the most specific.
  const matching = ['*/*', `${type.slice(0, type.indexOf('/'))}/*`, type];
  let mostSpecific = -1;
  let quality = 0;
  for (const range of ranges) {
    const [name = '', ...parameters] = range.split(';').map((part) => part.trim());
    const specificity = matching.indexOf(name);
    if (specificity === -1 || specificity < mostSpecific) continue;
    const own = weightOf(parameters);
    // Of two equally specific ranges, which differ in their parameters, the better one counts.
    quality = specificity === mostSpecific ? Math.max(quality, own) : own;
    mostSpecific = specificity;
  }
  return quality;
}

/** 1 without a weight, and for one that is malformed. */
function weightOf(parameters: readonly string[]): number {
  const weight = parameters.find((parameter) => parameter.startsWith('q='));
  return weight !== undefined && /^q=(0(\.\d*)?|1(\.0*)?)$/.test(weight) ? Number(weight.slice(2)) : 1;
}
