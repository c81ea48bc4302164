import { $, allow, element, makeKey, watch } from './dom.mjs';
import { drop } from './drop.mjs';

/** One run of the job, watched over as many connections as it takes. The run itself needs none. */
export class Job {
  #card = $('#job');
  #button = $('#drop');
  #greeting;
  #source;
  #connections = 0;
  #lastEventId = '';
  #step = 0;
  #missed = 0;
  #repeated = 0;
  /** Whether an event has come over this connection. */
  #begun = false;
  #finished = false;

  /** @param greeting what to say of a connection that begins at the beginning */
  constructor(key, greeting) {
    const connection = makeKey();
    const source = new EventSource(`/job/${key}?connection=${connection}`);
    this.#greeting = greeting;
    this.#source = source;
    this.#card.querySelector('.story').replaceChildren();
    this.#clear();
    watch(source, this.#card);
    source.addEventListener('progress', (event) => this.#onProgress(event));
    source.addEventListener('gap', ({ data }) => this.#onGap(JSON.parse(data)));
    source.addEventListener('end', ({ data }) => this.#onEnd(data));
    source.addEventListener('error', () => this.#onError());
    this.#button.onclick = () => drop(this.#button, connection);
  }

  close() {
    this.#source.close();
    allow(this.#button, false);
  }

  get #cells() {
    return this.#card.querySelectorAll('.progress i');
  }

  get #parity() {
    return this.#connections % 2 === 0 ? 'even' : 'odd';
  }

  #clear() {
    this.#step = 0;
    for (const cell of this.#cells) cell.replaceWith(element('i'));
    this.#showStep();
  }

  #onProgress({ data, lastEventId }) {
    const { step } = JSON.parse(data);
    if (!this.#begun) this.#begin(step);
    const cell = this.#cells[step - 1];
    if (step <= this.#step) this.#repeated++;
    else this.#missed += step - this.#step - 1;
    cell.classList.toggle('repeated', step <= this.#step);
    cell.dataset.connection = this.#parity;
    this.#step = step;
    this.#lastEventId = lastEventId;
    this.#showStep();
  }

  #begin(step) {
    this.#begun = true;
    this.#connections++;
    allow(this.#button, true);
    const resumed = `Last-Event-ID: ${this.#lastEventId}, resumed at step ${step}`;
    const from = this.#lastEventId === '' ? this.#greeting : resumed;
    this.#tell(`Connection ${this.#connections}: ${from}.`, { connection: this.#parity });
  }

  /** A server that keeps its runs in memory was started again: this is another run. */
  #onGap({ lastEventId }) {
    this.#clear();
    this.#lastEventId = '';
    this.#greeting = 'the new run, from its beginning';
    this.#tell(`event: gap. What followed ${lastEventId} is lost; the job was started anew.`, {
      className: 'wrong',
    });
  }

  #onEnd(data) {
    this.#finished = true;
    allow(this.#button, false);
    this.#tell(`event: end, data: ${data}. The browser asks once more, with Last-Event-ID: ~end …`);
  }

  #onError() {
    allow(this.#button, false);
    if (this.#source.readyState === EventSource.CLOSED) return this.#onClosed();
    // Each attempt that fails is an error of its own; the story needs the first.
    if (!this.#begun) return;
    this.#begun = false;
    if (!this.#finished)
      this.#tell(`Connection lost after step ${this.#step}. The browser reconnects by itself.`);
  }

  #onClosed() {
    if (this.#finished)
      this.#tell(`… and is told 204: CLOSED for good. ${this.#balance}`, { className: 'done' });
    else this.#tell('The server refused. An EventSource does not ask again.', { className: 'wrong' });
  }

  get #balance() {
    const count = (number) => (number === 0 ? 'none' : number);
    return `${this.#step} steps, ${count(this.#missed)} missed, ${count(this.#repeated)} repeated.`;
  }

  #showStep() {
    const bar = this.#card.querySelector('.progress');
    bar.setAttribute('aria-valuenow', this.#step);
    bar.setAttribute('aria-valuetext', `step ${this.#step} of ${this.#cells.length}`);
    this.#card.querySelector('.count b').textContent = this.#step;
  }

  #tell(text, { className = '', connection } = {}) {
    const line = element('li', { className }, text);
    if (connection !== undefined) line.dataset.connection = connection;
    this.#card.querySelector('.story').append(line);
  }
}
