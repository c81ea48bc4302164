const STATES = ['CONNECTING', 'OPEN', 'CLOSED'];

export const $ = (selector) => document.querySelector(selector);

export function element(name, properties, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

export function svg(name, attributes) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
}

export function show(card, state) {
  const output = card.querySelector('.state');
  output.dataset.state = state;
  output.textContent = state;
}

/** Shows the state of an EventSource, which tells of its changes by `open` and `error`. */
export function watch(source, card) {
  const update = () => show(card, STATES[source.readyState]);
  source.addEventListener('open', update);
  source.addEventListener('error', update);
  update();
}

/** Not `disabled`, which would take the focus away from whoever has just pressed it. */
export function allow(button, allowed) {
  button.setAttribute('aria-disabled', String(!allowed));
}

export const isAllowed = (button) => button.getAttribute('aria-disabled') === 'false';

/** A key that nobody else has. */
export const makeKey = () => Math.random().toString(36).slice(2);
