/** What `process.emitWarning` was called with, instead of a line on stderr. */
export interface EmittedWarning {
  readonly message: string;
  readonly code: string;
  readonly type: string;
  readonly detail: string | undefined;
}

/** Collects the process warnings of a test. Node's own event 'warning' does not reach the environment of a test. */
export class WarningCollector {
  readonly all: EmittedWarning[] = [];
  readonly #spy = jest.spyOn(process, 'emitWarning').mockImplementation((message, options) => {
    const { code = '', type = '', detail } = options as { code?: string; type?: string; detail?: string };
    this.all.push({ message: String(message), code, type, detail });
    this.#onWarning?.();
  });
  #onWarning: (() => void) | undefined;

  get codes(): string[] {
    return this.all.map(({ code }) => code);
  }

  /** Resolves with the warnings when there are this many. */
  async collected(count: number): Promise<readonly EmittedWarning[]> {
    while (this.all.length < count) {
      await new Promise<void>((resolve) => {
        this.#onWarning = resolve;
      });
    }
    return this.all;
  }

  stop(): void {
    this.#spy.mockRestore();
  }
}
