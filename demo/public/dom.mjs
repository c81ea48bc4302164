const STATES = ['CONNECTING', 'OPEN', 'CLOSED'];

export const $ = (selector) => document.querySelector(selector);

export function element(name, properties, ...children) {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
}

export function show(card, state) {
  const output = card.querySelector('.state');
  output.dataset.state = state;
  output.textContent = state;
}

/** Shows the state of an EventSource, which reports its changes with `open` and `error`. */
export function watch(source, card) {
  const update = () => show(card, STATES[source.readyState]);
  source.addEventListener('open', update);
  source.addEventListener('error', update);
  update();
}

/** `aria-disabled` and not `disabled`, so that a button keeps the focus after a click. */
export function allow(button, allowed) {
  button.setAttribute('aria-disabled', String(!allowed));
}

export const isAllowed = (button) => button.getAttribute('aria-disabled') === 'false';

/** A random key. */
export const makeKey = () => Math.random().toString(36).slice(2);
