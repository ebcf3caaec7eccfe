import { execa } from 'execa';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { BaseImage } from '../src/bases/base.js';
import { runCommand } from '../src/host/process.js';
import type { Accelerator } from '../src/domain/profile.js';
import { quote } from '../src/machines/quote.js';

/**
 * The same guest under autopkgtest's qemu runner, for comparison. The runner speaks a protocol of lines on its standard input and
 * output (README.virtualisation-server of the package autopkgtest): `revert`, and it says `ok` when the guest can be used.
 */
export interface AutopkgtestGuest extends AsyncDisposable {
  /** Boots the guest for the first time. */
  open(): Promise<void>;
  revert(): Promise<void>;
  /** A command in the guest by the runner's own way: a root shell on a console, its files in a folder shared with the host. */
  run(argv: readonly string[]): Promise<void>;
}

/** The program. */
export const RUNNER = 'autopkgtest-virt-qemu';
/** Given only where it does not answer: a boot under emulation takes its time. */
const BOOT_SECONDS = 600;

export async function autopkgtestGuest(
  folder: string,
  base: BaseImage,
  shape: {
    readonly memoryMiB: number;
    readonly cpus: number;
    readonly accelerator: Accelerator;
    readonly binary: string;
  },
): Promise<AutopkgtestGuest> {
  const qemu = path.join(folder, 'autopkgtest-qemu');
  await writeFile(qemu, qemuScript(base, shape), { mode: 0o755 });
  const runner = execa(
    RUNNER,
    [
      ...['--qemu-command', qemu, '--qemu-architecture', 'x86_64', '--overlay-dir', folder],
      ...['--ram-size', String(shape.memoryMiB), '--cpus', String(shape.cpus)],
      ...['--timeout-reboot', String(BOOT_SECONDS), base.disk?.path ?? ''],
    ],
    { reject: false, buffer: { stdout: false }, forceKillAfterDelay: 5000 },
  );
  const answers: AsyncIterator<string> = createInterface({ input: runner.stdout })[Symbol.asyncIterator]();
  const answer = async () => {
    const next = await answers.next();
    if (next.done !== true && /^ok\b/.test(next.value)) return next.value;
    runner.kill();
    const { stderr } = await runner;
    throw new Error(`${RUNNER} answered ${next.done === true ? 'nothing' : next.value}: ${stderr.slice(-2000)}`);
  };
  const say = (command: string) => {
    runner.stdin.write(`${command}\n`);
    return answer();
  };
  await answer();
  return {
    async open() {
      await say('open');
    },
    async revert() {
      await say('revert');
    },
    async run(argv) {
      const [, command = ''] = (await say('print-execute-command')).split(' ');
      const [file = '', ...args] = command.split(',').map(decodeURIComponent);
      await runCommand(file, [...args, ...argv]);
    },
    async [Symbol.asyncDispose]() {
      // It ends its guest and then itself.
      runner.stdin.end('quit\n');
      await runner;
    },
  };
}

/**
 * QEMU as the runner starts it, but for what its options cannot say: the accelerator that works here (it takes any /dev/kvm for a
 * good one) and a kernel's command line with spaces. Its two consoles change places, for the base has its root shell on the first
 * and the runner looks for one on the second.
 */
function qemuScript(
  { boot }: BaseImage,
  { accelerator, binary }: { readonly accelerator: Accelerator; readonly binary: string },
): string {
  const direct =
    boot.kind === 'direct' ? ['-kernel', boot.kernel, '-initrd', boot.initrd, '-append', boot.commandLine] : [];
  const more = ['-machine', 'q35', '-accel', accelerator, '-cpu', accelerator === 'tcg' ? 'max' : 'host', ...direct];
  return `#!/bin/sh
for argument; do
  shift
  case $argument in
    -enable-kvm) continue ;;
    virtconsole,chardev=hvc0) argument=virtconsole,chardev=hvc1 ;;
    virtconsole,chardev=hvc1) argument=virtconsole,chardev=hvc0 ;;
  esac
  set -- "$@" "$argument"
done
exec ${quote([binary])} "$@" ${quote(more)}
`;
}
