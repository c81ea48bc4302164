import { $, allow, element, makeKey, watch } from './dom.mjs';
import { drop, send } from './drop.mjs';

/** One run of the job, read over as many connections as necessary. The run itself does not depend on a connection. */
export class Job {
  #card = $('#job');
  #button = $('#drop');
  #stop = $('#stop');
  #origin;
  #source;
  #connections = 0;
  #lastEventId = '';
  #step = 0;
  /** The process that has done the last step. */
  #pid = 0;
  #missed = 0;
  #repeated = 0;
  /** Whether an event has arrived on this connection. */
  #begun = false;
  #finished = false;

  /** @param origin what the story says about a connection that starts with the first step */
  constructor(key, origin) {
    const connection = makeKey();
    const source = new EventSource(`/job/${key}?connection=${connection}`);
    this.#origin = origin;
    this.#source = source;
    this.#card.querySelector('.story').replaceChildren();
    this.#clear();
    watch(source, this.#card);
    source.addEventListener('progress', (event) => this.#onProgress(event));
    source.addEventListener('gap', ({ data }) => this.#onGap(JSON.parse(data)));
    source.addEventListener('end', ({ data }) => this.#onEnd(`event: end, data: ${data}.`));
    source.addEventListener('stopped', () => this.#onEnd('event: stopped.'));
    source.addEventListener('error', () => this.#onError());
    this.#button.onclick = () => drop(this.#button, connection);
    this.#stop.onclick = () => send(this.#stop, 'DELETE', `/job/${key}`);
  }

  close() {
    this.#source.close();
    this.#allow(false);
  }

  #allow(allowed) {
    for (const button of [this.#button, this.#stop]) allow(button, allowed);
  }

  get #cells() {
    return this.#card.querySelectorAll('.progress i');
  }

  get #parity() {
    return this.#connections % 2 === 0 ? 'even' : 'odd';
  }

  #clear() {
    this.#step = 0;
    this.#pid = 0;
    for (const cell of this.#cells) cell.replaceWith(element('i'));
    this.#showStep();
  }

  #onProgress({ data, lastEventId }) {
    const { step, pid } = JSON.parse(data);
    if (!this.#begun) this.#begin(step);
    if (pid !== this.#pid) this.#showProcess(pid);
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
    this.#allow(true);
    const resumed = `Last-Event-ID: ${this.#lastEventId}, resumed at step ${step}`;
    const from = this.#lastEventId === '' ? this.#origin : resumed;
    this.#report(`Connection ${this.#connections}: ${from}.`, { connection: this.#parity });
  }

  /** A server that keeps runs in memory has restarted: this is a new run. */
  #onGap({ lastEventId }) {
    this.#clear();
    this.#lastEventId = '';
    this.#origin = 'a new run, from its first step';
    this.#report(`event: gap. The events after ${lastEventId} are lost; the job has started again.`, {
      className: 'wrong',
    });
  }

  #onEnd(event) {
    this.#finished = true;
    this.#allow(false);
    this.#report(`${event} The browser reconnects once, with Last-Event-ID: ~end …`);
  }

  #onError() {
    this.#allow(false);
    if (this.#source.readyState === EventSource.CLOSED) return this.#onClosed();
    // Each failed attempt is another error event; the story shows only the first.
    if (!this.#begun) return;
    this.#begun = false;
    if (!this.#finished)
      this.#report(`Connection lost after step ${this.#step}. The browser reconnects on its own.`);
  }

  #onClosed() {
    if (this.#finished)
      this.#report(`… and the server answers 204: CLOSED for good. ${this.#balance}`, { className: 'done' });
    else
      this.#report('The server rejected the request. An EventSource does not retry that.', {
        className: 'wrong',
      });
  }

  /** Each event names the process that has made it, because another one continues the job of a process that has died. */
  #showProcess(pid) {
    if (this.#pid !== 0)
      this.#report(`Process ${pid} continues the job of process ${this.#pid} after step ${this.#step}.`);
    this.#pid = pid;
    $('#runner').textContent = pid;
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

  #report(text, { className = '', connection } = {}) {
    const line = element('li', { className }, text);
    if (connection !== undefined) line.dataset.connection = connection;
    this.#card.querySelector('.story').append(line);
  }
}
