import type { Fault } from './fault.js';
import { injecting, looking, takingBack } from './shell.js';

/** What the hog leaves: enough for the guest itself, too little for an installer. */
const LEFT_MIB = 96;
/** Shell text: what can be had, in KiB. */
const AVAILABLE = `available() { sed -n 's/^MemAvailable: *\\([0-9]*\\).*/\\1/p' /proc/meminfo; }`;

export const MACHINE_FAULTS: readonly Fault[] = [
  {
    name: 'memory-hog',
    title: `A process that the kernel may not kill leaves ${LEFT_MIB} MiB of memory to everything else`,
    outcome: 'healed',
    expects: ['memory.oom'],
    heals: ['swap-on-the-target', 'swap-on-zram'],
    moment: 'start',
    afterRelease: false,
    scope: 'system',
    injection: {
      kind: 'guest',
      inject: injecting(
        'memory-hog',
        AVAILABLE,
        // A try that was cut off has left its process.
        'if pid=$(cat "$state/pid" 2>/dev/null); then while kill -s KILL -- "-$pid" 2>/dev/null; do sleep 0.1; done; fi',
        `[ "$(available)" -gt ${(LEFT_MIB + 64) * 1024} ] || die 'there is little memory already'`,
        // It takes until there is that little, whatever others give back meanwhile. tail keeps a line without an end, however long.
        `cat >"$state/hog" <<'END'
echo -1000 >/proc/self/oom_score_adj
echo $$ >"$2"
${AVAILABLE}
{
  while more=$(($(available) - $1)); [ "$more" -gt 4096 ]; do head -c "$((more * 768))" /dev/zero; done
  exec sleep 1000000
} | tail
END`,
        `setsid sh "$state/hog" ${LEFT_MIB * 1024} "$state/pid" </dev/null >/dev/null 2>&1 &`,
        `for turn in $(seq 240); do [ "$(available)" -gt ${(LEFT_MIB + 32) * 1024} ] || break; sleep 0.5; done`,
        `[ "$(available)" -le ${(LEFT_MIB + 32) * 1024} ] || die "it did not get its memory: $(available) KiB are left"`,
      ),
      takeBack: takingBack('memory-hog', 'kill -s KILL -- "-$(cat "$state/pid")" 2>/dev/null || true'),
    },
    evidence: looking(
      'memory-hog',
      'pid=$(cat "$state/pid")',
      'kill -0 "$pid" || die "it has ended"',
      'grep -E "^Mem(Total|Available):" /proc/meminfo',
    ),
    drivers: ['qemu', 'libvirt', 'ssh'],
  },
  {
    name: 'clock-wrong',
    title: 'The machine’s clock is years behind',
    outcome: 'healed',
    expects: ['network.http', 'cache.bad'],
    heals: ['set-the-clock'],
    moment: 'start',
    afterRelease: false,
    scope: 'system',
    injection: {
      kind: 'guest',
      inject: injecting(
        'clock-wrong',
        // What sets the clock by itself would take the fault back at once.
        'for unit in systemd-timesyncd chronyd ntpd openntpd; do ! have systemctl || systemctl stop "$unit" 2>/dev/null || true; done',
        'was=$(date +%s)',
        "date -u -s '2005-03-01 12:00:00' >/dev/null",
        'echo "$((was - $(date +%s)))" >"$state/behind"',
      ),
      takeBack: takingBack(
        'clock-wrong',
        // A heal, or going back to a checkpoint, may have set it already.
        'if [ "$(date +%Y)" -lt 2010 ]; then date -u -s "@$(($(date +%s) + $(cat "$state/behind")))" >/dev/null; fi',
      ),
    },
    evidence: looking('clock-wrong', '[ "$(date -u +%Y)" = 2005 ] || die "it is $(date -u +%Y)"', 'date -u'),
    drivers: ['qemu', 'libvirt', 'ssh'],
  },
  {
    name: 'installer-killed',
    title: 'The installer and all it started are killed',
    outcome: 'healed',
    expects: ['unknown'],
    heals: ['run-again-after-a-kill'],
    moment: 'first-phase',
    afterRelease: true,
    scope: 'files',
    injection: { kind: 'kill-installer' },
    drivers: ['qemu', 'libvirt', 'ssh', 'sandbox'],
  },
  {
    name: 'machine-crash',
    title: 'The machine’s power is cut',
    outcome: 'healed',
    expects: ['unknown'],
    heals: ['bring-the-machine-back'],
    moment: 'first-phase',
    afterRelease: true,
    scope: 'system',
    injection: { kind: 'crash-machine' },
    // Only a machine that can go back to a checkpoint comes back from it.
    drivers: ['qemu', 'libvirt'],
  },
  {
    name: 'worker-crash',
    title: 'The worker that follows the installer is killed',
    outcome: 'passed',
    expects: [],
    heals: [],
    moment: 'first-phase',
    afterRelease: true,
    scope: 'files',
    injection: { kind: 'kill-worker' },
    drivers: ['qemu', 'libvirt', 'ssh', 'sandbox'],
  },
];
