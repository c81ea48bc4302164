import type { Spread } from './figures';

/** At most three significant digits. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (value >= 100) return value.toLocaleString('en', { maximumFractionDigits: 0 });
  return value.toPrecision(3);
}

export function spreadText({ median, min, max }: Spread): string {
  if (!Number.isFinite(median)) return '–';
  return `${short(median)} (${short(min)}–${short(max)})`;
}
