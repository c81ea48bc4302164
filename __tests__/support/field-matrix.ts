/** What was seen, by who stood between and what was looked at; printed as Markdown when a file's tests are through. */
export class Matrix {
  readonly #title: string;
  readonly #columns: string[] = [];
  readonly #rows = new Map<string, Map<string, string>>();

  constructor(title: string) {
    this.#title = title;
  }

  note(row: string, column: string, seen: string): void {
    if (!this.#columns.includes(column)) this.#columns.push(column);
    const cells = this.#rows.get(row) ?? new Map<string, string>();
    this.#rows.set(row, cells.set(column, seen));
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

/** In milliseconds, as far as a test can tell. */
export function ms(duration: number): string {
  return `${duration.toFixed(1)} ms`;
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
