import type { Command } from 'commander';
import { DEFAULT_BASE } from '../domain/profile.js';
import { EXIT } from '../domain/verdict.js';
import type { Work } from '../domain/work.js';
import { mayDraw, runCommand, type CommonOptions, type Session } from './session.js';

interface SetupOptions extends CommonOptions {
  readonly base: string;
}

export function registerSetup(program: Command): void {
  program
    .command('setup')
    .description('get or build a base and freeze its template; nothing is done twice')
    .option('--base <base>', 'debian, nixos, disk:PATH or iso:PATH_OR_URL#SHA256', DEFAULT_BASE)
    .option('--json', 'print what was made as JSON')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText('after', '\nExample:\n  nixproof setup --base debian\n  nixproof setup --base iso:./live.iso')
    .action((options: SetupOptions) => runCommand(options, (session) => setup(session, options)));
}

async function setup(session: Session, { base }: SetupOptions): Promise<number> {
  const { baseOfFlag } = await import('../config/base.js');
  const { prepareBase } = await import('../machines/qemu/prepare.js');
  const started = performance.now();
  const name = baseOfFlag(base, process.cwd());
  const image = await withProgressLine(session, (work) => prepareBase(name, session.layout, work));
  const { describeInstallation, findInstallation } = await import('../machines/hypervisor/installation.js');
  const { durationText } = await import('../reports/quantities.js');
  if (session.json) session.printJson(image);
  session.say(
    `base ${image.name} is ready after ${durationText(performance.now() - started)} (${image.fingerprint.slice(0, 12)})`,
  );
  session.say(`its machines run on ${describeInstallation(await findInstallation(session.signal))}`);
  return EXIT.ok;
}

/** Progress is drawn on a terminal, and a line each elsewhere. */
async function withProgressLine<T>(session: Session, body: (work: Work) => Promise<T>): Promise<T> {
  if (!mayDraw(process.stderr)) return body(session);
  const { createProgressLine } = await import('./live/progress-line.js');
  const line = createProgressLine(process.stderr);
  try {
    return await body({ signal: session.signal, progress: line.show });
  } finally {
    line.end();
  }
}
