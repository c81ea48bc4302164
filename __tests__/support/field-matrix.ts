/** A table of observations, with a row for each setup. Printed as Markdown after the tests of a file. */
export class Matrix {
  readonly #title: string;
  readonly #columns: string[] = [];
  readonly #rows = new Map<string, Map<string, string>>();

  constructor(title: string) {
    this.#title = title;
  }

  note(row: string, column: string, observed: string): void {
    if (!this.#columns.includes(column)) this.#columns.push(column);
    const cells = this.#rows.get(row) ?? new Map<string, string>();
    this.#rows.set(row, cells.set(column, observed));
  }

  print(): void {
    const lines = [
      [this.#title, ...this.#columns],
      ['---', ...this.#columns.map(() => '---')],
    ];
    for (const [row, cells] of this.#rows) {
      lines.push([row, ...this.#columns.map((column) => cells.get(column) ?? '·')]);
    }
    process.stdout.write(`\n${lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n')}\n\n`);
  }
}

/** A duration for the table, to a tenth of a millisecond. */
export function ms(duration: number): string {
  return `${duration.toFixed(1)} ms`;
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
