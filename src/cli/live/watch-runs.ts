import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { createLogUpdate } from 'log-update';
import { queryRun, suiteProgress, type ServerLink } from '../../client.js';
import type { RecordedEvent } from '../../domain/event.js';
import type { HealRecord } from '../../domain/run.js';
import { runFiles } from '../../records/artifacts.js';
import { oneLine } from '../../reports/escape.js';
import { lookOf } from '../../reports/outcome.js';
import { durationText } from '../../reports/quantities.js';
import { painter } from '../../reports/terminal.js';
import type { Session } from '../session.js';
import { createEventTail } from './event-tail.js';
import { renderFrame } from './frame.js';
import { applyEvent, applyReport, newRunView, type RunView } from './run-view.js';

const EVENTS_MS = 200;
/** A question takes the worker and the server more than following an installer does: the next one comes later where nothing changed. */
const QUERY_MS = { first: 1000, growth: 1.5, most: 3000 };
/** So many runs are asked at a time, in turn: each question takes a worker and the server some milliseconds. */
const ASKED = 10;
/** After so long without a worker's answer the user is told what is missing. */
const NO_WORKER_MS = 10_000;

export interface Watched {
  readonly run: string;
  readonly profile: string;
}

export interface Watching {
  /** Ends the view, its last state still shown. */
  stop(): Promise<void>;
}

/**
 * Shows runs as they go on: redrawn in place on a terminal, else a plain line for everything that changes.
 * @param suite whose runs they are: it says which go on, so that the others need not be asked; absent for a single run
 */
export function watchRuns(session: Session, link: ServerLink, runs: readonly Watched[], suite?: string): Watching {
  session.quote();
  const views = runs.map(({ run, profile }) => newRunView(run, profile));
  const narrator = session.animated ? undefined : createNarrator(session, views.length > 1);
  const end = new AbortController();
  // Every view waits for it.
  setMaxListeners(0, end.signal);
  const tails = new Map(views.map((view) => [view, tailOf(session, view, narrator?.event)]));
  // A suite may have thousands of runs of which a few go on.
  const live = new Set(suite === undefined || views.length === 1 ? views : []);
  const tailLive = async () => {
    const tailOne = async (view: RunView) => {
      const last = suite !== undefined && view.verdict !== null;
      await tails.get(view)?.();
      if (last) live.delete(view);
    };
    await Promise.all([...live].map(tailOne));
  };
  const look = queryAll(
    session,
    link,
    { views, live, suite: views.length === 1 ? undefined : suite, end: end.signal },
    narrator?.report,
  );
  const screen = createLogUpdate(session.people);
  const draw = () => screen(frameOf(session, views));
  const watching = [every(() => EVENTS_MS, end.signal, tailLive), every(look.pauseMs, end.signal, look.step)];
  if (session.animated)
    watching.push(
      every(
        () => 100,
        end.signal,
        async () => draw(),
      ),
    );
  return {
    async stop() {
      end.abort();
      await Promise.all(watching);
      if (!session.animated) return;
      draw();
      screen.done();
    },
  };
}

function frameOf({ colour, people: { columns, rows } }: Session, views: readonly RunView[]): string {
  return renderFrame(views, { columns, rows, now: Date.now(), paint: painter(colour) });
}

/** Runs a step again and again, once more after the end was asked for, so that nothing that came last is missed. */
async function every(ms: () => number, signal: AbortSignal, step: () => Promise<void>): Promise<void> {
  for (;;) {
    const last = signal.aborted;
    await step();
    if (last) return;
    await pause(ms(), undefined, { signal }).catch(() => undefined);
  }
}

/** Reads the events of the attempt that goes on, from this host's artifacts; another host's are not to be seen here. */
function tailOf({ layout }: Session, view: RunView, told?: (view: RunView, event: RecordedEvent) => void) {
  const files = runFiles(layout.runs, view.run);
  let attempt = 1;
  let phases = 0;
  let tail = createEventTail(files.attempt(attempt).events);
  const take = (event: RecordedEvent) => {
    if (event.type === 'phase') phases += 1;
    // What came back with a checkpoint was told when it happened.
    if (view.replayedPhases > 0 && phases <= view.replayedPhases) return;
    applyEvent(view, event);
    told?.(view, event);
  };
  return async () => {
    await tail(take);
    while (view.attempts > attempt) {
      attempt += 1;
      phases = 0;
      tail = createEventTail(files.attempt(attempt).events);
      await tail(take);
    }
  };
}

interface Looked {
  readonly views: readonly RunView[];
  /** Those whose events are read: looking adds to it, who has read the last of one takes it out. */
  readonly live: Set<RunView>;
  readonly suite: string | undefined;
  /** The last look, after it, is at all of them. */
  readonly end: AbortSignal;
}

function queryAll(
  session: Session,
  link: ServerLink,
  { views, live, suite, end }: Looked,
  told?: (view: RunView) => void,
) {
  let answered = Date.now();
  let warned = false;
  let pauseMs = QUERY_MS.first;
  const histories = new Map<RunView, number>();
  const byName = new Map(views.map((view) => [view.run, view]));
  const findLive = async (): Promise<void> => {
    if (suite === undefined) return;
    const progress = await suiteProgress(link, suite);
    if (!progress) return;
    answered = Date.now();
    for (const run of [...progress.lately, ...progress.going]) {
      const view = byName.get(run);
      if (view && view.verdict === null) live.add(view);
    }
    if (progress.ended === progress.of) for (const view of views) if (view.verdict === null) live.add(view);
  };
  const ask = async (view: RunView): Promise<void> => {
    try {
      const report = await queryRun(link, view.run);
      // A suite that no worker takes up has no runs: that is no answer either.
      if (!report) return;
      answered = Date.now();
      if (histories.get(view) !== report.historyEvents) pauseMs = QUERY_MS.first;
      histories.set(view, report.historyEvents);
      applyReport(view, report);
      told?.(view);
    } catch {
      // No worker answers queries, or the server is being started again: the next look tells.
    }
  };
  const step = async () => {
    pauseMs = Math.min(QUERY_MS.most, pauseMs * QUERY_MS.growth);
    await findLive();
    for (const view of [...live].filter(({ verdict }) => verdict === null).slice(0, end.aborted ? undefined : ASKED)) {
      await ask(view);
      // Behind the others.
      if (live.delete(view)) live.add(view);
    }
    if (warned || Date.now() - answered < NO_WORKER_MS) return;
    warned = true;
    session.progress('no worker answers: is one running for this server? (`nixproof worker`)');
  };
  return { step, pauseMs: () => pauseMs };
}

interface Narrator {
  readonly event: (view: RunView, event: RecordedEvent) => void;
  readonly report: (view: RunView) => void;
}

/** Plain lines: what changes, each once. */
function createNarrator(session: Session, several: boolean): Narrator {
  const states = new Map<string, string>();
  const bars = new Map<string, number>();
  const healed = new Map<string, number>();
  /** Runs whose stream is seen here: their phases need not be told a second time. */
  const streaming = new Set<string>();
  const say = (view: RunView, text: string, mark = '') => {
    session.say(`${several ? `[${view.profile}] ` : ''}${mark}${oneLine(text)}`);
  };
  const progress = (view: RunView, { stage, details, fraction }: Extract<RecordedEvent, { type: 'progress' }>) => {
    // Whole tenths are enough where nothing can be drawn over.
    const tenth = Math.floor((fraction ?? 0) * 10);
    if (fraction !== undefined && bars.get(view.run) === tenth) return;
    bars.set(view.run, tenth);
    say(view, `${stage} ${details}`, '  … ');
  };
  return {
    event(view, event) {
      streaming.add(view.run);
      if (event.type === 'phase') say(view, event.name, '▸ ');
      else if (event.type === 'progress') progress(view, event);
      else if (event.type in MARKS)
        say(view, 'message' in event ? event.message : '', MARKS[event.type as keyof typeof MARKS]);
    },
    report(view) {
      for (const heal of view.heals.slice(healed.get(view.run) ?? 0)) say(view, healText(heal), '  + ');
      healed.set(view.run, view.heals.length);
      const state = view.verdict ?? view.state;
      if (states.get(view.run) === state) return;
      if (streaming.has(view.run) && state.startsWith('installing')) return;
      states.set(view.run, state);
      const took = durationText((view.endedAt ?? 0) - (view.startedAt ?? 0));
      say(
        view,
        view.verdict === null
          ? view.state
          : `${lookOf(view.verdict).sign} ${view.profile}: ${view.verdict} after ${took}`,
      );
    },
  };
}

function healText({ name, outcome, title, confidence }: HealRecord): string {
  return `heal ${name}: ${outcome} (${title}; confidence ${Math.round(confidence * 100)} %)`;
}

const MARKS = { success: '  ✓ ', warning: '  ! ', error: '  ✗ ', context: '  ' } as const;
