'use strict';

/**
 * A reporter of Jest for runs that hang: when the process is ended from outside, such as by a time limit, it writes the test
 * files that were running, and what keeps the process open.
 */
module.exports = class OpenTests {
  #running = new Map();
  #onSignal = () => {
    for (const [path, since] of this.#running) {
      const seconds = ((performance.now() - since) / 1_000).toFixed(0);
      process.stderr.write(`Open for ${seconds} s: ${path}\n`);
    }
    process.stderr.write(`Open resources: ${process.getActiveResourcesInfo().join(', ')}\n`);
    process.exit(1);
  };

  onRunStart() {
    process.on('SIGTERM', this.#onSignal);
  }

  onTestFileStart({ path }) {
    this.#running.set(path, performance.now());
  }

  onTestFileResult({ path }) {
    this.#running.delete(path);
  }
};
