import type { Connection, Work } from './machine.js';

/** The guest's own name for this boot (random(4)): another one after every reboot. */
export async function bootId(connection: Connection, signal: AbortSignal): Promise<string> {
  const { stdout } = await connection.exec(['cat', '/proc/sys/kernel/random/boot_id'], { signal });
  return stdout.trim();
}

/** A system without systemd has `reboot`; whichever it is may end the connection before it answers. */
export async function askForReboot(connection: Connection, { signal, progress }: Work): Promise<void> {
  progress('rebooting');
  await connection.exec(['sh', '-c', 'systemctl reboot || reboot'], { signal }).catch(() => signal.throwIfAborted());
}
