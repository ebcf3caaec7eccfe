import { writeSync } from 'node:fs';
import { Session } from 'node:inspector';
import { workerData } from 'node:worker_threads';
import { note, WHOSE_CODE, type Watched } from './watch.js';

/** How long the main thread may take to say in whose code it is. */
const ANSWER_MS = 3000;

const { turns, lookMs, looks } = workerData as Watched;
const view = new Int32Array(turns);
let last = -1;
let still = 0;

const timer = setInterval(() => {
  const now = Atomics.load(view, 0);
  still = now === last ? still + 1 : 0;
  last = now;
  if (still < looks) return;
  clearInterval(timer);
  setTimeout(() => end(''), ANSWER_MS);
  askMainThread();
}, lookMs);

/** Asks through the inspector, which interrupts what runs: a loop, or a pattern at work. */
function askMainThread(): void {
  const session = new Session();
  session.connectToMainThread();
  session.post('Runtime.evaluate', { expression: `globalThis.${WHOSE_CODE}()`, returnByValue: true }, (error, answer) =>
    end(error === null ? String(answer.result.value ?? '') : ''),
  );
}

/** The log is written here: what a thread prints goes through the main one. */
function end(leaseFolder: string): void {
  try {
    if (leaseFolder !== '') note(leaseFolder);
    const where = leaseFolder === '' ? 'no step’s code' : `the step ${leaseFolder}`;
    writeSync(2, `${new Date().toISOString()} ERROR the event loop is frozen in ${where}: this process is killed\n`);
  } finally {
    process.kill(process.pid, 'SIGKILL');
  }
}
