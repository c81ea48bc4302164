import { $, element, show } from './dom.mjs';

const MAX_LINES = 200;

/** Reads a route with fetch and shows every chunk as it arrives. */
export class Wire {
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
    const note = await this.#readBody(path, controller.signal).catch(
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

  async #readBody(path, signal) {
    // The same headers as an EventSource. Without `no-store`, Chromium delays a second reader of a URL by five seconds.
    const response = await fetch(path, {
      cache: 'no-store',
      headers: { Accept: 'text/event-stream' },
      signal,
    });
    this.#show('OPEN');
    this.#append(
      element('p', { className: 'note' }, `${response.status} ${response.headers.get('content-type') ?? ''}`),
    );
    const decoder = new TextDecoder();
    const reader = response.body.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return 'the server ended the response';
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
