/** What stands in front of a message, from the outside in: each of them at most once a pass. */
const PREFIXES: readonly RegExp[] = [
  // GitHub Actions, containers: 2026-01-02T03:04:05.678Z
  /^\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z| ?[+-]\d\d:?\d\d)?\]?:?\s+/,
  // A clock alone: [03:04:05] or 03:04:05.678
  /^\[?\d\d:\d\d:\d\d(?:[.,]\d+)?\]?\s+/,
  // The NixOS test driver: machine # …
  /^[a-z][\w-]* # /,
  // docker compose: web-1  | …
  /^[a-z][\w.-]*[-_]\d+ +\| /,
  // The kernel: [   12.345678] or <3>[ 12.3]
  /^(?:<\d>)?\[\s*\d+\.\d+\]\s+/,
  // syslog and the journal: Jan  2 03:04:05 host program[123]: …
  /^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d (?:[\w.:-]+ )?(?=[^\s:]+(?:\[\d+\])?: )/,
  // A service behind one of those: program[123]: …
  /^[\w()@./\\-]{1,80}\[\d+\]: /,
  // A build's log: name> …, or the last lines that Nix quotes
  /^\s*(?:[\w.+-]+)?> (?=\S)/,
  // GitHub's own marks
  /^##\[(?:error|warning|command|debug|section)\]/,
  /^::error(?: [^:\n]{0,300})?::/,
  // Our markers, where something stood in front of them
  /^::(?:ERROR|CONTEXT|WARNING)::/,
];

const PASSES = 3;
const MESSAGE_LIMIT = 2000;
const KERNEL =
  /^(?:\S+ # )?(?:<\d>)?\[\s*\d+\.\d{4,}\]\s+(?!\S+\[\d+\]: )|^[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ kernel: /;
const NOTICE =
  /^(?:[\w./()@\\-]+(?:\[\d+\])?: ){0,2}(?:\x5b)?(?:evaluation )?(?:warn(?:ing)?|notice|info|debug|hint|note|trace|tip)\b[\]:!]|:\d+: warning: |^W: |^N: |^level=(?:warn|info|debug)|\blevel=(?:warn(?:ing)?|info|debug)\b|^::warning|^##\[(?:warning|debug|section)|^::(?:WARNING|CONTEXT)::|^\(!\)|^(?:WARNING|INFO|DEBUG|NOTICE|WARN)\b/i;

/** A server's word of a client that came and went: said of every machine that waits for a port to open. */
const SERVER_SIDE = /\bsshd(?:-session)?\[\d+\]: (?!.*(?:Failed|auth))/;

/** A line for the rules: what a program said, and how loudly. */
export interface LogLine {
  readonly message: string;
  /** It calls itself a warning or less. */
  readonly notice: boolean;
  /** The kernel said it: its "failed" is mostly a probe that found nothing. */
  readonly kernel: boolean;
}

/** Takes the prefixes of journals, CI systems, containers and build logs off a line. */
export function readLogLine(text: string): LogLine {
  const raw = unwrapped(text.length > MESSAGE_LIMIT ? text.slice(0, MESSAGE_LIMIT) : text);
  let message = raw;
  let notice = NOTICE.test(raw);
  for (let pass = 0; pass < PASSES; pass++) {
    const before = message;
    for (const prefix of PREFIXES) message = message.replace(prefix, '');
    if (message === before) break;
    notice ||= NOTICE.test(message);
  }
  notice ||= SERVER_SIDE.test(raw);
  return { message: message.trim(), notice, kernel: KERNEL.test(raw) };
}

/** The message of a line of JSON: our own events, `journalctl -o json`, docker's log files, programs that log objects. */
function unwrapped(text: string): string {
  if (!text.startsWith('{"') || !/"(?:type|MESSAGE|log|msg|message)":/.test(text)) return text;
  try {
    const value = JSON.parse(text) as Readonly<Record<string, unknown>>;
    const message = value['MESSAGE'] ?? value['text'] ?? value['message'] ?? value['msg'] ?? value['log'];
    return typeof message === 'string' ? message : text;
  } catch {
    return text;
  }
}
