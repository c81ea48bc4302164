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

function watchJob(key, origin) {
  job?.close();
  sessionStorage.setItem('job', key);
  job = new Job(key, origin);
  $('#start').textContent = 'Restart';
  $('.share').hidden = false;
  for (const link of document.querySelectorAll('.share a')) link.hash = `job=${key}`;
}

function setUpJob() {
  const steps = Number($('.progress').getAttribute('aria-valuemax'));
  $('.progress').append(...Array.from({ length: steps }, () => element('i')));
  $('#start').onclick = () => watchJob(makeKey(), 'a new run, from its first step');
  const shared = /^#job=(\w+)$/.exec(location.hash)?.[1];
  if (shared !== undefined) {
    history.replaceState(null, '', location.pathname);
    sessionStorage.setItem('job', shared);
  }
  resumeJob(shared === undefined ? 'after a reload, the whole run so far' : 'the whole run so far');
}

function resumeJob(origin) {
  const key = sessionStorage.getItem('job');
  if (key !== null) watchJob(key, origin);
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
  document.addEventListener('connection-needed', () => wire.stop());
}

// --- The process -----------------------------------------------------------------------------------------------

/** Shows which of several processes serves this page; that can change with each connection. */
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
// Over HTTP/1.1 a browser opens six connections to a host, for all tabs together, and this page would hold four of them.
// So only the tab that had the focus last keeps the clock and the wire open, and a hidden tab keeps nothing open: the
// server retains the prices and the job for it. Two visible tabs hold at most six. When a tab needs one more connection
// for a request, it closes its wire.

const tabs = new BroadcastChannel('express-yield demo');
let active = true;
let reading = true;

function activate() {
  if (document.hidden) return;
  tabs.postMessage('active');
  if (active) return;
  active = true;
  openActive();
}

function openActive() {
  clock.open();
  if (reading) wire.read(chosenRoute());
}

function deactivate() {
  if (!active) return;
  active = false;
  clock.close();
  reading = wire.reading;
  wire.stop();
}

function onVisibility() {
  if (document.hidden) {
    deactivate();
    chart.close();
    job?.close();
  } else {
    chart.open();
    resumeJob('visible again, the whole run so far');
    activate();
  }
}

tabs.onmessage = deactivate;
addEventListener('focus', activate);
document.addEventListener('visibilitychange', onVisibility);

setUpJob();
setUpWire();
chart.open();
openActive();
activate();
