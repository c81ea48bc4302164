import { $, show, watch } from './dom.mjs';

export class Clock {
  #card = $('#clock');
  #source;

  open() {
    const time = this.#card.querySelector('time');
    const sent = this.#card.querySelector('.sent');
    this.#source = new EventSource('/clock');
    watch(this.#source, this.#card);
    this.#source.onmessage = ({ data }) => {
      time.dateTime = data;
      time.textContent = new Date(data).toLocaleTimeString('en-GB');
      sent.querySelector('code').textContent = data;
      sent.classList.remove('fresh');
      requestAnimationFrame(() => sent.classList.add('fresh'));
    };
  }

  close() {
    this.#source.close();
    show(this.#card, 'CLOSED');
  }
}
