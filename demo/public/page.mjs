import { Chart } from './chart.mjs';
import { Clock } from './clock.mjs';
import { $, element, makeKey } from './dom.mjs';
import { Job } from './job.mjs';
import { Wire } from './wire.mjs';

const clock = new Clock();
const wire = new Wire();
const chart = new Chart(showProcess);
let job;

// --- The job: its key outlives the page ------------------------------------------------------------------------

function watchJob(key, greeting) {
  job?.close();
  sessionStorage.setItem('job', key);
  job = new Job(key, greeting);
  $('#start').textContent = 'Restart';
  $('.share').hidden = false;
  for (const link of document.querySelectorAll('.share a')) link.hash = `job=${key}`;
}

function setUpJob() {
  const steps = Number($('.progress').getAttribute('aria-valuemax'));
  $('.progress').append(...Array.from({ length: steps }, () => element('i')));
  $('#start').onclick = () => watchJob(makeKey(), 'a new run, from its beginning');
  const shared = /^#job=(\w+)$/.exec(location.hash)?.[1];
  if (shared !== undefined) {
    history.replaceState(null, '', location.pathname);
    sessionStorage.setItem('job', shared);
  }
  takeUpJob(shared === undefined ? 'back after a reload, the whole run so far' : 'the whole run so far');
}

function takeUpJob(greeting) {
  const key = sessionStorage.getItem('job');
  if (key !== null) watchJob(key, greeting);
}

// --- The wire --------------------------------------------------------------------------------------------------

function chosenRoute() {
  const route = $('input[name=wire]:checked').value;
  return route === '/job' ? `/job/${sessionStorage.getItem('job') ?? makeKey()}` : route;
}

function setUpWire() {
  for (const input of document.querySelectorAll('input[name=wire]')) {
    input.onchange = () => {
      wire.clear();
      wire.read(chosenRoute());
    };
  }
  $('#listen').onclick = () => (wire.reading ? wire.stop() : wire.read(chosenRoute()));
  document.addEventListener('crowded', () => wire.stop());
}

// --- The process -----------------------------------------------------------------------------------------------

/** Which of several processes serves this page; it may be another one after each connection. */
async function showProcess() {
  const { pid, ports } = await (await fetch('/process')).json();
  if (ports.length === 0) return;
  const here = Number(location.port);
  const there = ports.find((port) => port !== here);
  $('#pid').textContent = pid;
  $('#here').textContent = here;
  for (const link of document.querySelectorAll('a.there')) {
    link.port = there;
    link.querySelector('b').textContent = there;
  }
  for (const part of document.querySelectorAll('.cluster')) part.hidden = false;
}

// --- The connections -------------------------------------------------------------------------------------------
//
// HTTP/1.1 gives a browser six connections a host, for all its tabs together, and this page would hold four of them.
// So only the tab that was in front last has a clock and a wire, and one that cannot be seen has nothing: what it then
// misses of the prices and the job, the server has kept. Two tabs side by side hold six at the most, and while none is
// left to ask the server for something, the wire gives up its own.

const others = new BroadcastChannel('express-yield demo');
let inFront = true;
let reading = true;

function comeToFront() {
  if (document.hidden) return;
  others.postMessage('in front');
  if (inFront) return;
  inFront = true;
  openFront();
}

function openFront() {
  clock.open();
  if (reading) wire.read(chosenRoute());
}

function leaveFront() {
  if (!inFront) return;
  inFront = false;
  clock.close();
  reading = wire.reading;
  wire.stop();
}

function onVisibility() {
  if (document.hidden) {
    leaveFront();
    chart.close();
    job?.close();
  } else {
    chart.open();
    takeUpJob('back in sight, the whole run so far');
    comeToFront();
  }
}

others.onmessage = leaveFront;
addEventListener('focus', comeToFront);
document.addEventListener('visibilitychange', onVisibility);

setUpJob();
setUpWire();
chart.open();
openFront();
comeToFront();
