import { $, allow, makeKey, show, watch } from './dom.mjs';
import { drop } from './drop.mjs';
import { Plot, SPAN_MS } from './plot.mjs';

/** The prices of the last seconds, each in the colour of the connection that delivered it. */
export class Chart {
  #card = $('#chart');
  #button = $('#drop-chart');
  #plot = new Plot(this.#card);
  #onOpen;
  #source;
  #tally;
  #points;
  #drawing = false;

  /** @param onOpen called for each connection */
  constructor(onOpen) {
    this.#onOpen = onOpen;
  }

  open() {
    const connection = makeKey();
    const source = new EventSource(`/prices?connection=${connection}`);
    this.#source = source;
    this.#tally = new Tally();
    this.#points = [];
    watch(source, this.#card);
    source.addEventListener('open', () => this.#onConnection());
    source.addEventListener('error', () => this.#onError());
    source.addEventListener('message', ({ data }) => this.#add(this.#tally.count(JSON.parse(data))));
    source.addEventListener('gap', ({ data }) => this.#onGap(JSON.parse(data)));
    this.#button.onclick = () => drop(this.#button, connection);
  }

  close() {
    this.#source?.close();
    this.#source = undefined;
    allow(this.#button, false);
    show(this.#card, 'CLOSED');
  }

  #onConnection() {
    this.#tally.connect();
    allow(this.#button, true);
    if (this.#tally.connections > 1) this.#announce(`Connection ${this.#tally.connections} is open.`);
    this.#onOpen();
  }

  #onError() {
    allow(this.#button, false);
    this.#announce(
      'Connection lost. The browser reconnects on its own; the server keeps the prices until then.',
    );
  }

  #onGap({ lastEventId }) {
    this.#tally.gap();
    this.#announce(`event: gap. The server no longer has the events after ${lastEventId}.`);
  }

  #add(point) {
    this.#points.push(point);
    const { connections, caughtUp } = this.#tally;
    if (point.late)
      this.#announce(
        `Connection ${connections}: caught up on ${caughtUp} events that were published in the meantime.`,
      );
    const oldest = point.at - SPAN_MS;
    // Keep one point outside the plot, so that the line starts at its edge.
    while (this.#points.length > 1 && this.#points[1].at < oldest) this.#points.shift();
    this.#requestDraw();
  }

  #requestDraw() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#plot.draw(this.#points);
      this.#tally.show(this.#card);
    });
  }

  #announce(text) {
    this.#card.querySelector('.message').textContent = text;
  }
}

/** Counts the events by the numbers that they carry. */
class Tally {
  connections = 0;
  /** Events on this connection that were published before it opened. */
  caughtUp = 0;
  #counts = { events: 0, late: 0, missed: 0, repeated: 0, gaps: 0 };
  #lastN;
  /** The least difference between this machine's clock and an event's time: clock skew, and the fastest event's travel. */
  #lagMs = Number.POSITIVE_INFINITY;
  #connectedAt = 0;
  #afterGap = false;

  connect() {
    this.connections++;
    this.caughtUp = 0;
    this.#connectedAt = Date.now();
  }

  gap() {
    this.#counts.gaps++;
    this.#lastN = undefined;
    this.#afterGap = true;
  }

  /** @returns the event as a point of the chart */
  count({ n, price, at }) {
    const counts = this.#counts;
    const late = this.#isLate(at);
    const afterGap = this.#afterGap;
    counts.events++;
    if (late) {
      counts.late++;
      this.caughtUp++;
    }
    if (n <= this.#lastN) counts.repeated++;
    else if (this.#lastN !== undefined) counts.missed += n - this.#lastN - 1;
    this.#lastN = n;
    this.#afterGap = false;
    return { price, at, late, afterGap, connection: this.connections };
  }

  show(card) {
    for (const [name, count] of Object.entries(this.#counts)) {
      const output = card.querySelector(`[data-count="${name}"]`);
      output.textContent = count.toLocaleString('en');
      output.classList.toggle('wrong', name !== 'events' && name !== 'late' && count > 0);
    }
  }

  /** Whether the event was published before this connection opened, and was then replayed. */
  #isLate(at) {
    this.#lagMs = Math.min(this.#lagMs, Date.now() - at);
    return this.connections > 1 && at + this.#lagMs < this.#connectedAt;
  }
}
