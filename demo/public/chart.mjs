import { $, allow, makeKey, show, watch } from './dom.mjs';
import { drop } from './drop.mjs';
import { draw, SPAN_MS } from './plot.mjs';

/** The prices of the last seconds, each in the colour of the connection that it came over. */
export class Chart {
  #card = $('#chart');
  #button = $('#drop-chart');
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
    if (this.#tally.connections > 1) this.#tell(`Connection ${this.#tally.connections} is open.`);
    this.#onOpen();
  }

  #onError() {
    allow(this.#button, false);
    this.#tell('Connection lost. The browser reconnects by itself, and the market goes on meanwhile.');
  }

  #onGap({ lastEventId }) {
    this.#tally.gap();
    this.#tell(`event: gap. The server no longer has what followed ${lastEventId}, and says so.`);
  }

  #add(point) {
    this.#points.push(point);
    const { connections, caughtUp } = this.#tally;
    if (point.late)
      this.#tell(`Connection ${connections}: the ${caughtUp} events published meanwhile came at once.`);
    const oldest = point.at - SPAN_MS;
    // One that is out of sight stays, for the line comes from there.
    while (this.#points.length > 1 && this.#points[1].at < oldest) this.#points.shift();
    this.#requestDraw();
  }

  #requestDraw() {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      draw(this.#card, this.#points);
      this.#tally.show(this.#card);
    });
  }

  #tell(text) {
    this.#card.querySelector('.told').textContent = text;
  }
}

/** Counts what came, by the numbers that the events carry. */
class Tally {
  connections = 0;
  /** Those that came late over this connection, because there was none when they were published. */
  caughtUp = 0;
  #counts = { events: 0, late: 0, missed: 0, repeated: 0, gaps: 0 };
  #lastN;
  /** How much this machine's clock, and the way of the fastest event, make of the server's time. */
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
    return { price, at, late, afterGap, connection: this.connections % 2 === 0 ? 'even' : 'odd' };
  }

  show(card) {
    for (const [name, count] of Object.entries(this.#counts)) {
      const output = card.querySelector(`[data-count="${name}"]`);
      output.textContent = count.toLocaleString('en');
      output.classList.toggle('wrong', name !== 'events' && name !== 'late' && count > 0);
    }
  }

  /** Whether it was published before this connection, and so kept for us. */
  #isLate(at) {
    this.#lagMs = Math.min(this.#lagMs, Date.now() - at);
    return this.connections > 1 && at + this.#lagMs < this.#connectedAt;
  }
}
