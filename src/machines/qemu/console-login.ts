import type { Work } from '../machine.js';
import { quote } from '../quote.js';
import type { Accelerator } from '../../domain/profile.js';
import type { Waiting } from '../boot.js';
import { typeText } from './keyboard.js';
import type { Qmp } from './qmp.js';

/** Nothing on the serial console for so long, from power-on at the earliest: before that a boot menu may still wait for keys. */
const QUIET_MS: Readonly<Record<Accelerator, number>> = { kvm: 60_000, hvf: 60_000, tcg: 240_000 };
/** Long enough for an emulated guest to do what was typed. */
const AGAIN_MS = 20_000;

/** What is typed to give root a key and start the SSH server, at the prompt of root or of a user who has sudo without a password. */
export function keyCommand(publicKey: string): string {
  const script = [
    'umask 77; mkdir -p /root/.ssh',
    `echo ${publicKey} >>/root/.ssh/authorized_keys`,
    'systemctl start ssh; systemctl start sshd',
  ].join('; ');
  return `${quote(['sudo', 'sh', '-c', script])}\n`;
}

/**
 * The way into a live system that does not take its key from the machine's virtual hardware: by the keyboard, on the first
 * terminal, where live systems log somebody in by themselves. Typed once SSH refuses the key, or after a long silence without SSH;
 * again and again, for nobody knows when the terminal is ready.
 */
export function keyboardLogin(
  qmp: Qmp,
  publicKey: string,
  accelerator: Accelerator,
  { signal, progress }: Work,
  type: typeof typeText = typeText,
): (waiting: Waiting) => Promise<void> {
  let typedAt: number | undefined;
  return async (waiting) => {
    if (waiting.kind === 'silent' && waiting.quietMs < QUIET_MS[accelerator]) return;
    if (typedAt !== undefined && performance.now() - typedAt < AGAIN_MS) return;
    const why = waiting.kind === 'refused' ? 'SSH refuses the key' : 'no SSH';
    progress(`${why}: typing it on the keyboard of the first terminal`);
    // The first line ends whatever stands at the prompt.
    await type(qmp, `\n${keyCommand(publicKey)}`, signal);
    typedAt = performance.now();
  };
}
