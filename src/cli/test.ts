import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Option, type Command } from 'commander';
import { messageOf } from '../domain/error.js';
import { faultText } from '../domain/fault.js';
import { DRIVER_NAMES, HEAL_POLICIES, type HealingPolicy } from '../domain/profile.js';
import type { Keep, RunReport } from '../domain/run.js';
import type { SuiteReport, SuiteRequest } from '../domain/suite.js';
import { EXIT, exitCodeOf } from '../domain/verdict.js';
import { writeWhole } from '../host/files.js';
import type { ServerUse } from './server.js';
import {
  choiceOf,
  drivers,
  duration,
  list,
  numberFrom,
  parallelism,
  repeatable,
  wholeNumber,
  type ChoiceOptions,
} from './options.js';
import { runCommand, type CommonOptions, type Session } from './session.js';
import { requireFileTarget, requireFolderTarget } from './targets.js';

interface TestOptions extends CommonOptions, ChoiceOptions {
  readonly config?: string;
  readonly profiles?: readonly string[];
  readonly parallel?: 'auto' | number;
  readonly repeat?: number;
  readonly failFast?: boolean;
  readonly retryErrors?: number;
  readonly heal?: boolean | HealingPolicy['policy'];
  readonly keep: Keep;
  readonly detach?: boolean;
  readonly timeout?: number;
  readonly reportDir?: string;
  readonly junit?: string;
  readonly strict?: boolean;
  readonly inject?: readonly string[];
  readonly drill?: boolean;
}

export function registerTest(program: Command): void {
  program
    .command('test')
    .description('run profile tests: all profiles when none is named')
    .argument('[profiles...]', 'profiles of the configuration, or hosts of the flake here')
    .option(
      '--config <file>',
      'the configuration; default: the nearest nixproof.yaml, .ts or .json upwards, else the flake',
    )
    .option('--profiles <names>', 'the same as naming them, separated by commas', list)
    .option('--parallel <n>', 'how many at once: a number, or auto for what this host can take', parallelism)
    .option('--driver <names>', `how machines are driven: ${DRIVER_NAMES.join(', ')}; several: a run on each`, drivers)
    .option('--base <bases>', 'what machines boot, instead of what the profiles say; several: a run on each', list)
    .addOption(new Option('--heal <policy>', 'what to do about failures').choices(HEAL_POLICIES))
    .option('--no-heal', 'the same as --heal never')
    .option('--max-heals <n>', 'how many heals a run may have', wholeNumber)
    .option(
      '--inject <fault[@phase]>',
      'make this go wrong on purpose; may be given again',
      repeatable('FAULT or FAULT@PHASE'),
    )
    .addOption(
      new Option('--drill', 'a run for each fault: does the bench find it out and heal it?').conflicts('inject'),
    )
    .addOption(
      new Option('--keep <when>', 'which machines outlive their runs')
        .choices(['never', 'failed', 'always'])
        .default('never'),
    )
    .option('--repeat <n>', 'run each so often, and say how steady it is', numberFrom(1))
    .option('--fail-fast', 'the first run that fails stops the others')
    .option('--retry-errors <n>', "run again what ended in the bench's own fault, so often at most", wholeNumber)
    .option('--untrusted', 'the configuration may run nothing on this host and read nothing outside its repository')
    .option('--detach', 'start and leave: the test goes on')
    .option('--timeout <duration>', 'a limit for each run as a whole, such as 2h', duration)
    .option('--report-dir <folder>', 'copy the reports there')
    .option('--junit <file>', 'write a JUnit report of all runs')
    .option('--strict', 'a healed run counts as failed in the exit code')
    .option('--json', 'print the result as JSON')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText(
      'after',
      `
Examples:
  nixproof test                       every profile of the nearest configuration
  nixproof test vm server --parallel 2
  nixproof test --json > result.json
  nixproof test vm --keep failed      then: nixproof vm ssh RUN
  nixproof test --driver qemu,libvirt --base debian,disk:old.qcow2
  nixproof test vm --repeat 10        how steady is it?
  nixproof test vm --inject dns-broken --inject tmp-full@NIX_BUILD

Exit status: 0 passed or healed · 1 failed · 2 usage or configuration · 3 the bench's own fault · 130 interrupted`,
    )
    .action((names: string[], options: TestOptions) => runCommand(options, (session) => test(session, names, options)));
}

async function test(session: Session, names: readonly string[], options: TestOptions): Promise<number> {
  const profiles = await profilesOf(session, names, options);
  const { wantedRuns } = await import('./drills.js');
  const wanted = wantedRuns(profiles, options);
  const { parallelFromEnvironment } = await import('../config/environment.js');
  const parallel = options.parallel ?? parallelFromEnvironment(process.env) ?? 'auto';
  if (options.junit !== undefined) await requireFileTarget('--junit', options.junit);
  if (options.reportDir !== undefined) await requireFolderTarget('--report-dir', options.reportDir);
  const { useServer } = await import('./server.js');
  await using server = await useServer(session);
  const { planSuite } = await import('../suites/plan.js');
  const suite = planSuite(wanted, {
    keep: options.keep,
    timeoutMs: options.timeout,
    parallel,
    repeat: options.repeat,
    failFast: options.failFast,
    retryErrors: options.retryErrors,
    searchAttributes: server.link.searchAttributes,
  });
  const { otherBuildsNote } = await import('../temporal/host-directory.js');
  const note = (await lacksWorker(server))
    ? `no worker is there for ${server.link.address}: the test waits for one (\`nixproof worker\`)`
    : await otherBuildsNote(server.link.client).catch(() => undefined);
  if (note !== undefined) session.progress(note);
  session.signal.throwIfAborted();
  await server.holdFor(suite.suite);
  const { startSuite } = await import('../client.js');
  await startSuite(server.link, suite);
  return options.detach ? await detach(session, server, suite) : await follow(session, server, suite, options);
}

async function profilesOf(session: Session, names: readonly string[], options: TestOptions) {
  const { openConfig } = await import('../config/open.js');
  const { createRegistry } = await import('../machines/registry.js');
  const { chooseProfiles } = await import('../suites/choose.js');
  const config = await openConfig(process.cwd(), options.config, {
    signal: session.signal,
    ...(options.untrusted === true ? { untrusted: {} } : {}),
  });
  for (const note of config.notes) session.progress(note);
  const heal = options.heal === false ? 'never' : options.heal === true ? undefined : options.heal;
  const choice = choiceOf([...names, ...(options.profiles ?? [])], options, heal);
  return chooseProfiles(config, choice, process.cwd(), createRegistry(session.layout), session);
}

async function detach(session: Session, server: ServerUse, suite: SuiteRequest): Promise<number> {
  const { startedReport } = await import('./results.js');
  if (session.json) session.printJson(startedReport(suite));
  for (const { run } of suite.runs) session.say(`started ${run}`);
  const ui = server.uiOf(suite.suite);
  if (ui) session.say(`temporal  ${ui}`);
  session.say(`watch it with: nixproof watch ${suite.suite}`);
  return EXIT.ok;
}

async function follow(session: Session, server: ServerUse, suite: SuiteRequest, options: TestOptions): Promise<number> {
  const { suiteOutcome } = await import('../client.js');
  const { watchRuns } = await import('./live/watch-runs.js');
  const { suiteReport } = await import('./results.js');
  const ui = server.uiOf(suite.suite);
  if (ui) session.say(`temporal  ${ui}`);
  const watching = watchRuns(
    session,
    server.link,
    suite.runs.map(({ run, profile, faults = [] }) => ({
      run,
      profile: [suite.profiles[profile]?.name ?? '', ...faults.map(faultText)].join(' '),
    })),
    suite.suite,
  );
  const left = leftByInterrupt(session, server, suite.suite);
  let outcome;
  try {
    outcome = await Promise.race([suiteOutcome(server.link, suite.suite), left]);
  } finally {
    await watching.stop();
  }
  if (!outcome) {
    const { startedReport } = await import('./results.js');
    if (session.json) session.printJson(startedReport(suite));
    return EXIT.interrupted;
  }
  const { withDrills } = await import('./drills.js');
  const plain = await suiteReport(server.link, session.layout, outcome);
  const { withComparison } = await import('./suite-report.js');
  const report = await withComparison(session, options.drill === true ? withDrills(plain, suite) : plain);
  await summarize(session, server, report);
  const published = await publish(report, options).then(
    () => true,
    (error: unknown) => {
      session.progress(`error: the reports were not written: ${messageOf(error)}`);
      return false;
    },
  );
  if (session.signal.aborted) return EXIT.interrupted;
  if (!published) return EXIT.fault;
  if (report.drills) return report.drills.every(({ ok }) => ok) ? EXIT.ok : EXIT.failed;
  return exitCodeOf(outcome.verdict, options.strict ?? false);
}

/** Cancels the suite at Ctrl-C; resolves where no worker is there that could end it: the next one does. */
function leftByInterrupt(session: Session, server: ServerUse, suite: string): Promise<undefined> {
  return new Promise((resolve) => {
    const onInterrupt = async () => {
      const { cancel } = await import('../client.js');
      session.progress('cancelling; once more leaves it to the worker');
      await cancel(server.link, suite);
      if (!(await lacksWorker(server))) return;
      session.progress(`no worker is there: the next one ends ${suite}`);
      resolve(undefined);
    };
    const begin = () =>
      void onInterrupt().catch((error: unknown) => session.progress(`not cancelled: ${messageOf(error)}`));
    session.signal.addEventListener('abort', begin, { once: true });
    if (session.signal.aborted) begin();
  });
}

/** Whether no worker asks a server elsewhere for work; false where that cannot be told. */
async function lacksWorker({ isLocal, link }: ServerUse): Promise<boolean> {
  if (isLocal) return false;
  const { livePollers } = await import('../temporal/host-directory.js');
  return livePollers(link.client).then(
    ({ length }) => length === 0,
    () => false,
  );
}

/** The files the user asked for beside the artifacts. */
async function publish(report: SuiteReport, { junit, reportDir }: TestOptions): Promise<void> {
  const { renderAnnotations, renderSuiteHtml, renderSuiteJunit, renderSuiteMarkdown, reporters } =
    await import('../reports/index.js');
  const { runFiles } = await import('../records/artifacts.js');
  const { reportSource } = await import('../reports/source.js');
  if (junit !== undefined) await writeWhole(junit, renderSuiteJunit(report.runs));
  if (reportDir === undefined) return;
  await writeFile(path.join(reportDir, 'suite.json'), `${JSON.stringify(report, null, 2)}\n`);
  await writeFile(path.join(reportDir, 'suite.md'), renderSuiteMarkdown(report));
  await writeFile(
    path.join(reportDir, 'suite.html'),
    renderSuiteHtml(report, ({ run }) => `${encodeURIComponent(run)}.html`),
  );
  await writeFile(path.join(reportDir, 'junit.xml'), renderSuiteJunit(report.runs));
  await writeFile(path.join(reportDir, 'annotations.txt'), renderAnnotations(report.runs));
  for (const run of report.runs) {
    const source = reportSource(runFiles(path.dirname(run.artifacts), run.run), run);
    await writeFile(path.join(reportDir, `${run.run}.html`), await reporters.html.render(source));
  }
}

async function summarize(session: Session, server: ServerUse, report: SuiteReport): Promise<void> {
  if (session.json) {
    session.printJson(report);
    return;
  }
  const { renderTerminalSummary } = await import('../reports/index.js');
  const reportOf = ({ artifacts }: RunReport) => (artifacts === '' ? undefined : path.join(artifacts, 'report.html'));
  session.print(
    `\n${renderTerminalSummary(report.runs, { colour: session.colour, reportOf, uiOf: ({ run }) => server.uiOf(run) })}`,
  );
  const { drillMatrix } = await import('./drills.js');
  if (report.drills) session.print(`\n${drillMatrix(report.drills)}`);
  const { comparisonLines } = await import('../reports/index.js');
  const compared = comparisonLines(report);
  if (compared.length > 0) session.print(`\n${compared.map((line) => `${line}\n`).join('')}`);
}
