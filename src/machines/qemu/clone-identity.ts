import { randomBytes } from 'node:crypto';
import type { Connection, Work } from '../machine.js';

/**
 * Clones wake as one another: same name, machine id (machine-id(5)) and host key. Each gets its own, as far as the system lets it
 * be changed. sshd takes a new key when it is told to start over, which leaves open connections alone; it writes its pid file once
 * it listens again.
 */
const SCRIPT = `echo "$1" >/proc/sys/kernel/hostname
echo "127.0.0.1 $1" >>/etc/hosts
echo "$2" >/etc/machine-id
key=/etc/ssh/ssh_host_ed25519_key pid=/run/sshd.pid
[ -f "$key" ] && [ -f "$pid" ] && server=$(cat "$pid") || exit 0
ssh-keygen -q -t ed25519 -N '' -C '' -f "$key.new" && mv "$key.new.pub" "$key.pub" && mv "$key.new" "$key" || exit 0
rm -f "$pid"
kill -HUP "$server" || exit 0
for _ in $(seq 200); do [ -f "$pid" ] && break; sleep 0.05; done
cat "$key.pub"`;

/** Gives a clone its own identity. @returns the host key it presents from now on, undefined where it kept the template's */
export async function identifyClone(connection: Connection, id: string, { signal }: Work): Promise<string | undefined> {
  const name = id.slice(0, 63);
  const argv = ['sh', '-c', SCRIPT, 'sh', name, randomBytes(16).toString('hex')];
  const { stdout } = await connection.exec(argv, { signal });
  return /^ssh-ed25519 \S+/.exec(stdout)?.[0];
}
