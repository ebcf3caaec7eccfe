import type { Heal } from '../../domain/heal.js';
import { quote } from '../../machines/quote.js';
import { efiVariables, knownFileSystems, loadedModules } from '../parse-probes.js';
import { onMachine, planOf } from './shell.js';
import { fileSystemTypeOf, moduleOf, says } from './subjects.js';

const EFIVARS = '/sys/firmware/efi/efivars';

/** Loads a module; the list of what can be loaded is made anew where it is out of date. */
function load(heal: string, module: string) {
  return planOf({
    commands: [
      onMachine(
        heal,
        'have modprobe || die "no modprobe here"',
        `modprobe -q ${quote([module])} || { depmod -a && modprobe ${quote([module])}; }`,
      ),
    ],
    undo: [onMachine(heal, `modprobe -rq ${quote([module])} 2>/dev/null || true`)],
  });
}

export const HARDWARE_HEALS: readonly Heal[] = [
  {
    name: 'load-the-module',
    for: ['hardware.firmware', 'disk.partition-failed'],
    scope: 'system',
    title: 'Load the kernel module that is missing',
    confidence: 0.6,
    plan(evidence) {
      const module = moduleOf(evidence.diagnosis);
      if (module === undefined) return undefined;
      return loadedModules(evidence.probes).has(module.replaceAll('-', '_'))
        ? undefined
        : load('load-the-module', module);
    },
  },
  {
    name: 'load-the-file-system',
    for: ['mount.failed'],
    scope: 'system',
    title: 'Load the kernel’s module for the file system it did not know',
    confidence: 0.8,
    plan(evidence) {
      const type = fileSystemTypeOf(evidence.diagnosis);
      if (type === undefined || knownFileSystems(evidence.probes).has(type)) return undefined;
      return load('load-the-file-system', type);
    },
  },
  {
    name: 'remove-crash-dumps',
    for: ['bootloader', 'disk.full'],
    scope: 'system',
    title: 'Remove the kernel’s crash dumps from the firmware’s variables, which are full',
    confidence: 0.88,
    plan(evidence) {
      const isOfTheStore = evidence.diagnosis.class === 'bootloader' || says(evidence, /efi/i);
      if (!isOfTheStore || efiVariables(evidence.probes).dumps === 0) return undefined;
      return planOf({
        commands: [
          onMachine(
            'remove-crash-dumps',
            `for dump in ${EFIVARS}/dump-*; do`,
            '  [ -f "$dump" ] || continue',
            '  mkdir -p "$state"',
            '  cat "$dump" >"$state/${dump##*/}"',
            '  chattr -i "$dump" 2>/dev/null || true',
            '  rm -f "$dump"',
            'done',
            '[ -d "$state" ] || die "there are no crash dumps"',
          ),
        ],
        undo: [
          onMachine(
            'remove-crash-dumps',
            '[ -d "$state" ] || exit 0',
            `for dump in "$state"/dump-*; do cat "$dump" >"${EFIVARS}/\${dump##*/}" 2>/dev/null || true; done`,
            'rm -rf "$state"',
          ),
        ],
        destroys: 'crash dumps in the firmware’s variables',
      });
    },
  },
  {
    name: 'mount-efi-variables',
    for: ['bootloader'],
    scope: 'system',
    title: 'Mount the firmware’s variables, writable',
    confidence: 0.8,
    plan(evidence) {
      const { isUefi, areMounted } = efiVariables(evidence.probes);
      const isReadOnly = says(evidence, /read-only/i);
      if (!isUefi || (areMounted && !isReadOnly)) return undefined;
      return planOf({
        commands: [
          onMachine(
            'mount-efi-variables',
            'modprobe -q efivarfs 2>/dev/null || true',
            `if grep -q ' ${EFIVARS} efivarfs ' /proc/mounts; then mount -o remount,rw ${EFIVARS}; else mount -t efivarfs efivarfs ${EFIVARS}; fi`,
          ),
        ],
        undo: [
          onMachine(
            'mount-efi-variables',
            areMounted ? `mount -o remount,ro ${EFIVARS}` : `umount ${EFIVARS} 2>/dev/null || true`,
          ),
        ],
      });
    },
  },
];
