import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { NixproofError } from '../domain/error.js';
import { parseName } from '../domain/names.js';
import { completeReport } from '../domain/new-report.js';
import type { RunReport, RunRequest } from '../domain/run.js';
import { filesBelow, readJson, sumOfBytes, writeJson, type SizedFile } from '../host/files.js';

/** The files of one attempt of the installer. */
export interface AttemptFiles {
  readonly folder: string;
  /** The installer's bytes as they came. */
  readonly log: string;
  /** One RecordedEvent a line. */
  readonly events: string;
  /** How far the follower has come: see activities/recording.ts. */
  readonly follow: string;
  /** What the processes of an installer were at that was stopped for silence or for its limit. */
  readonly stalled: string;
  /** One SystemReading a line: see activities/system-watch.ts. */
  readonly system: string;
}

/** The files of one heal. */
export interface HealFiles {
  /** What has been done of it: see activities/healing/apply-heal.ts. */
  readonly journal: string;
  /** What its commands printed. */
  readonly log: string;
}

/** The names inside a run's folder: a public layout, documented in docs/artifacts.md. */
export interface RunFiles {
  readonly folder: string;
  /** RunReport; `verdict` is null until the end. */
  readonly run: string;
  /** What was asked: RunRequest, the configuration's snapshot in it. */
  readonly request: string;
  readonly heals: string;
  readonly checks: string;
  /** Record<string, MetricSeries>. */
  readonly metrics: string;
  /** The machine's serial console. */
  readonly console: string;
  /** When the console's bytes came: see activities/console-times.ts. */
  readonly consoleTimes: string;
  /** The machine's screen at the end of a run that went wrong, a PNG. */
  readonly screen: string;
  /** Journal, kernel log and the like of the installed system. */
  readonly collected: string;
  readonly report: Readonly<Record<'json' | 'html' | 'markdown' | 'junit', string>>;
  readonly patch: string;
  /** What probes saw on the machine that an attempt failed on. */
  probes(attempt: number): string;
  /** What a person may do about the failure of an attempt, where the machine tells. Guest text: hostile. */
  advice(attempt: number): string;
  /** Faults that were injected, as they were. */
  readonly faults: string;
  heal(number: number): HealFiles;
  attempt(number: number): AttemptFiles;
}

/** @throws NixproofError `CONFIG_NAME`: nothing outside the runs' folder is ever a run's */
export function runFiles(runsFolder: string, run: string): RunFiles {
  const folder = path.join(runsFolder, parseName(run, 'run'));
  const file = (name: string) => path.join(folder, name);
  const counted = (what: 'attempt' | 'heal', number: number) => {
    if (!Number.isSafeInteger(number))
      throw new NixproofError('CONFIG_NAME', `${JSON.stringify(number)} is no ${what}’s number`);
    return path.join(folder, `${what}-${number}`);
  };
  return {
    folder,
    run: file('run.json'),
    request: file('request.json'),
    heals: file('heals.json'),
    checks: file('checks.json'),
    metrics: file('metrics.json'),
    console: file('console.log'),
    consoleTimes: file('console-times.ndjson'),
    screen: file('screen.png'),
    collected: file('collected'),
    report: {
      json: file('report.json'),
      html: file('report.html'),
      markdown: file('report.md'),
      junit: file('junit.xml'),
    },
    patch: file('heal.patch'),
    probes: (attempt) => path.join(counted('attempt', attempt), 'probes.json'),
    advice: (attempt) => path.join(counted('attempt', attempt), 'advice.txt'),
    faults: file('faults.json'),
    heal(number) {
      const heal = counted('heal', number);
      return { journal: path.join(heal, 'journal.json'), log: path.join(heal, 'commands.log') };
    },
    attempt(number) {
      const attempt = counted('attempt', number);
      return {
        folder: attempt,
        log: path.join(attempt, 'install.log'),
        events: path.join(attempt, 'events.ndjson'),
        follow: path.join(attempt, 'follow.json'),
        stalled: path.join(attempt, 'stalled.txt'),
        system: path.join(attempt, 'system.ndjson'),
      };
    },
  };
}

/** What of a run's folder is large and only for people to read: the run stays on record without it. */
const BULKY =
  /^(?:attempt-\d+\/(?:install\.log|events\.ndjson|system\.ndjson|follow\.json)|heal-\d+\/commands\.log|console\.log|console-times\.ndjson|screen\.png|collected\/[^/]+)$/;

/** What a run's folder takes on its disk, bytes, and the files of it that may go where room is needed. */
export async function runSize(
  folder: string,
): Promise<{ readonly bytes: number; readonly bulk: readonly SizedFile[] }> {
  const files = await filesBelow(folder);
  return { bytes: sumOfBytes(files), bulk: files.filter(({ file }) => BULKY.test(path.relative(folder, file))) };
}

export async function writeRunReport(files: RunFiles, report: RunReport): Promise<void> {
  await writeJson(files.run, report);
}

export async function writeRunRequest(files: RunFiles, request: RunRequest): Promise<void> {
  await writeJson(files.request, request);
}

/** What a run was asked to do, or undefined where there is no such run on this host. */
export async function readRunRequest(runsFolder: string, run: string): Promise<RunRequest | undefined> {
  return readJson<RunRequest>(runFiles(runsFolder, run).request);
}

/** A run's report as its folder has it, or undefined where there is no such run on this host. */
export async function readRunReport(runsFolder: string, run: string): Promise<RunReport | undefined> {
  const report = await readJson<Partial<RunReport>>(runFiles(runsFolder, run).run);
  return report && completeReport(report);
}

/** Every run recorded on this host, newest first. Folders that hold no readable run are passed over. */
export async function listRunReports(runsFolder: string): Promise<RunReport[]> {
  const entries = await readdir(runsFolder, { withFileTypes: true }).catch(() => []);
  const reports = await Promise.all(
    entries
      .filter((entry) => entry.isDirectory())
      .map((entry) => readRunReport(runsFolder, entry.name).catch(() => undefined)),
  );
  return reports.filter((report) => report !== undefined).sort((a, b) => b.startedAt.localeCompare(a.startedAt));
}
