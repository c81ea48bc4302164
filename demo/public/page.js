const STATES = ['CONNECTING', 'OPEN', 'CLOSED'];

const $ = (selector) => document.querySelector(selector);

function show(card, state) {
  const output = card.querySelector('.state');
  output.dataset.state = state;
  output.textContent = state;
}

/** Shows the state of an EventSource, which tells of its changes by `open` and `error`. */
function watch(source, card) {
  const update = () => show(card, STATES[source.readyState]);
  source.addEventListener('open', update);
  source.addEventListener('error', update);
  update();
}

function element(name, properties, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

// --- The clock -------------------------------------------------------------------------------------------------

function startClock() {
  const card = $('#clock');
  const time = card.querySelector('time');
  const sent = card.querySelector('.sent');
  const source = new EventSource('/clock');
  watch(source, card);
  source.onmessage = ({ data }) => {
    time.dateTime = data;
    time.textContent = new Date(data).toLocaleTimeString('en-GB');
    sent.querySelector('code').textContent = data;
    sent.classList.remove('fresh');
    requestAnimationFrame(() => sent.classList.add('fresh'));
  };
}

// --- The job ---------------------------------------------------------------------------------------------------

/** One run of the job, over as many connections as it takes. */
class Job {
  #card = $('#job');
  #key = Math.random().toString(36).slice(2);
  #source = new EventSource(`/job/${this.#key}`);
  #connections = 0;
  #step = 0;
  #missed = 0;
  #repeated = 0;
  #open = false;
  #finished = false;

  constructor() {
    this.#card.querySelector('.story').replaceChildren();
    for (const cell of this.#cells) cell.replaceWith(element('i'));
    this.#showStep();
    watch(this.#source, this.#card);
    this.#source.addEventListener('resume', ({ data, lastEventId }) =>
      this.#onResume(JSON.parse(data), lastEventId),
    );
    this.#source.addEventListener('progress', ({ data }) => this.#onProgress(JSON.parse(data)));
    this.#source.addEventListener('end', ({ data }) => this.#onEnd(data));
    this.#source.addEventListener('error', () => this.#onError());
  }

  get #cells() {
    return this.#card.querySelectorAll('.progress i');
  }

  get #parity() {
    return this.#connections % 2 === 0 ? 'even' : 'odd';
  }

  close() {
    this.#source.close();
  }

  drop() {
    return fetch(`/job/${this.#key}/drop`, { method: 'POST' });
  }

  #onResume({ done }, lastEventId) {
    this.#open = true;
    this.#connections++;
    allowDrop(true);
    const resumed = `Last-Event-ID: ${lastEventId}, resumed at step ${done + 1}`;
    const from = lastEventId === '' ? 'from the beginning' : resumed;
    this.#tell(`Connection ${this.#connections}: ${from}.`, { connection: this.#parity });
  }

  #onProgress({ step }) {
    const cell = this.#cells[step - 1];
    if (step <= this.#step) this.#repeated++;
    else this.#missed += step - this.#step - 1;
    cell.classList.toggle('repeated', step <= this.#step);
    cell.dataset.connection = this.#parity;
    this.#step = step;
    this.#showStep();
  }

  #onEnd(data) {
    this.#finished = true;
    allowDrop(false);
    this.#tell(`event: end, data: ${data}. The browser asks once more, with Last-Event-ID: ~end …`);
  }

  #onError() {
    allowDrop(false);
    if (this.#source.readyState === EventSource.CLOSED) return this.#onClosed();
    // Each attempt that fails is an error of its own; the story needs the first.
    if (!this.#open) return;
    this.#open = false;
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

/** Not `disabled`, which would take the focus away from whoever has just pressed it. */
function allowDrop(allowed) {
  $('#drop').setAttribute('aria-disabled', String(!allowed));
}

function setUpJob() {
  const steps = Number($('.progress').getAttribute('aria-valuemax'));
  $('.progress').append(...Array.from({ length: steps }, () => element('i')));
  let job;
  $('#start').onclick = () => {
    job?.close();
    allowDrop(false);
    job = new Job();
    $('#start').textContent = 'Restart';
  };
  $('#drop').onclick = () => {
    if ($('#drop').getAttribute('aria-disabled') === 'false') job.drop();
  };
}

// --- The wire --------------------------------------------------------------------------------------------------

const MAX_LINES = 200;

/** Reads a route with fetch and shows every chunk as it arrives. */
class Wire {
  #card = $('#wire');
  #panel = $('.wire');
  #controller;

  get reading() {
    return this.#controller !== undefined;
  }

  async read(path) {
    this.stop();
    const controller = new AbortController();
    this.#controller = controller;
    this.#card.querySelector('.route').textContent = `GET ${path}`;
    this.#show('CONNECTING');
    const note = await this.#pour(path, controller.signal).catch(
      ({ message }) => `connection lost (${message})`,
    );
    if (controller.signal.aborted) return;
    this.#controller = undefined;
    this.#append(element('p', { className: 'note' }, note));
    this.#show('CLOSED');
  }

  stop() {
    this.#controller?.abort();
    this.#controller = undefined;
    this.#show('CLOSED');
  }

  clear() {
    this.#panel.replaceChildren();
  }

  async #pour(path, signal) {
    const response = await fetch(path, { headers: { Accept: 'text/event-stream' }, signal });
    this.#show('OPEN');
    this.#append(
      element('p', { className: 'note' }, `${response.status} ${response.headers.get('content-type') ?? ''}`),
    );
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 'the server has ended the response';
      this.#append(chunk(decoder.decode(value, { stream: true }), value.length));
    }
  }

  #append(node) {
    const panel = this.#panel;
    const atEnd = panel.scrollHeight - panel.scrollTop - panel.clientHeight < 40;
    panel.append(node);
    while (panel.children.length > MAX_LINES) panel.firstChild.remove();
    if (atEnd) panel.scrollTop = panel.scrollHeight;
  }

  #show(state) {
    show(this.#card, state);
    $('#listen').textContent = this.reading ? 'Stop' : 'Read';
  }
}

function chunk(text, bytes) {
  const now = new Date();
  const at = `${now.toLocaleTimeString('en-GB')}.${String(now.getMilliseconds()).padStart(3, '0')}`;
  const meta = element('small', {}, element('b', {}, at), `${bytes} bytes`);
  return element('div', { className: 'chunk' }, meta, element('pre', {}, ...text.split(/(?<=\n)/).map(line)));
}

function line(text) {
  if (text === '\n') return element('span', { className: 'blank' }, text);
  if (text.startsWith(':')) return element('span', { className: 'comment' }, text);
  const colon = text.indexOf(':') + 1;
  return element(
    'span',
    {},
    element('span', { className: 'field' }, text.slice(0, colon)),
    text.slice(colon),
  );
}

function setUpWire() {
  const wire = new Wire();
  const chosen = () => $('input[name=wire]:checked').value;
  for (const input of document.querySelectorAll('input[name=wire]')) {
    input.onchange = () => {
      wire.clear();
      wire.read(chosen());
    };
  }
  $('#listen').onclick = () => (wire.reading ? wire.stop() : wire.read(chosen()));
  // HTTP/1.1 gives a browser six connections a host, for all its tabs together.
  let resume = false;
  document.onvisibilitychange = () => {
    if (document.hidden) {
      resume = wire.reading;
      wire.stop();
    } else if (resume) wire.read(chosen());
  };
  wire.read(chosen());
}

startClock();
setUpJob();
setUpWire();
