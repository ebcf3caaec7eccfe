import type { Diagnosis } from '../../domain/diagnosis.js';
import type { Evidence } from '../../domain/heal.js';
import { nixSettings, sandboxRoot } from '../parse-probes.js';

/** What the failure is about, taken out of hostile text: only what has a harmless form gets through. */

const HOST = /^(?!-)[A-Za-z0-9.-]{1,253}$/;
const NAME = /^\w[\w-]{0,63}$/;

/** The device of the failure as the deployed tree would name it: `/dev/…`, without a sandbox's root. */
export function deviceOf({ diagnosis, probes }: Evidence): string | undefined {
  const root = sandboxRoot(probes) ?? '';
  const waited = diagnosis.evidence.map((line) => /\bdevice ['"‘]?(\/dev\/[^\s'"’]+)/.exec(line)?.[1]);
  const told = [diagnosis.captures['device'], ...waited].find((one) => one !== undefined)?.replace(/[.,:;'"’]+$/, '');
  const device = told?.startsWith(`${root}/`) === true ? told.slice(root.length) : told;
  return device !== undefined && /^\/dev\/\w[\w.+@=/:-]*$/.test(device) && !device.includes('..') ? device : undefined;
}

/** `/dev/sda1` and `/dev/nvme0n1p1` are parts of `/dev/sda` and `/dev/nvme0n1`; anything else is taken for a disk. */
export function diskOf(device: string): string {
  const numbered = /^(\/dev\/(?:nvme\d+n\d+|mmcblk\d+|md\d+|loop\d+|nbd\d+))p\d+$/.exec(device)?.[1];
  return numbered ?? /^(\/dev\/(?:[shv]d|xvd)[a-z]+)\d+$/.exec(device)?.[1] ?? device;
}

/** The address that was asked: URL where the evidence has one, else a host that was captured. */
export function remoteOf(
  diagnosis: Diagnosis,
): { readonly host: string; readonly url: string | undefined } | undefined {
  for (const line of diagnosis.evidence) {
    const match = /\bhttps?:\/\/([A-Za-z0-9.-]+)(?::\d{1,5})?(?:\/[\w./~%+=-]*)?/.exec(line);
    if (match !== null && HOST.test(match[1] ?? '')) return { host: match[1] ?? '', url: match[0] };
  }
  const host = hostOf(diagnosis);
  if (host === undefined) return undefined;
  const port = diagnosis.evidence
    .map((line) => /\bport (\d{1,5})\b/.exec(line)?.[1])
    .find((found) => found !== undefined);
  return { host, url: port === undefined || port === '443' ? undefined : `http://${host}:${port}/` };
}

function hostOf({ captures, evidence }: Diagnosis): string | undefined {
  const told = evidence.map(
    (line) =>
      /(?:connect to|resolv\w{0,10}(?: host)?:?|lookup|host:?) ['"‘]?([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)/i.exec(
        line,
      )?.[1],
  );
  // A rule may have taken the word after the host's place for it.
  return [captures['host'], ...told]
    .find((host) => host?.includes('.') === true && HOST.test(host))
    ?.replace(/\.+$/, '');
}

/** A kernel module that did not load. */
export function moduleOf({ evidence }: Diagnosis): string | undefined {
  const told = evidence.map(
    (line) =>
      /\b[Mm]odule:? ['"‘]?([a-z][\w-]+)/.exec(line)?.[1] ??
      /(?:insert|load(?: (?:the )?(?:kernel )?(?:module|driver))?) ['"‘]?([a-z][\w-]+)/.exec(line)?.[1] ??
      /(?<![\w-])([a-z][\w-]{1,80}):? (?:kernel )?module (?:is )?(?:missing|not (?:found|loaded))/.exec(line)?.[1],
  );
  return told.find((name) => name !== undefined && NAME.test(name) && !NO_MODULE.has(name));
}

/** Words that stand where a module's name may. */
const NO_MODULE: ReadonlySet<string> = new Set([
  'not',
  'is',
  'missing',
  'kernel',
  'module',
  'the',
  'failed',
  'for',
  'in',
  'firmware',
]);

/** A file system that the kernel did not know. */
export function fileSystemTypeOf({ captures, evidence }: Diagnosis): string | undefined {
  const told = evidence.map((line) => /unknown file ?system type ['"‘]?(\w+)/i.exec(line)?.[1]);
  return [captures['type'], ...told].find((name) => name !== undefined && NAME.test(name));
}

/** Whether a line of the evidence says so. */
export function says({ diagnosis }: Evidence, pattern: RegExp): boolean {
  return diagnosis.evidence.some((line) => pattern.test(line));
}

/** Whether Nix is there, and may be what failed. */
export function usesNix({ install, probes }: Evidence): boolean {
  return install.kind !== 'script' || nixSettings(probes).size > 0;
}

export function isSandbox({ probes }: Evidence): boolean {
  return sandboxRoot(probes) !== undefined;
}
