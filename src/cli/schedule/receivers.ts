import { NixproofError } from '../../domain/error.js';
import type { Receiver } from '../../domain/schedule.js';

/** @throws NixproofError `CONFIG_FLAG` */
export function receiversOf(urls: readonly string[], commands: readonly string[]): readonly Receiver[] {
  return [
    ...urls.map((url): Receiver => ({ kind: 'webhook', url: requireAddress(url) })),
    ...commands.map((command): Receiver => ({ kind: 'command', command })),
  ];
}

/** It goes into the server's records: a secret may only be referred to. */
function requireAddress(url: string): string {
  if (/^env:[A-Za-z_]\w*$/.test(url) || /^file:\/(?!\/)/.test(url)) return url;
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const http = parsed?.protocol === 'http:' || parsed?.protocol === 'https:';
  if (http && parsed.username === '' && parsed.password === '') return url;
  const what = http ? 'must not hold a user or password' : 'expected an http or https address, env:NAME or file:/PATH';
  throw new NixproofError('CONFIG_FLAG', `--notify-url: ${what}`, {
    hint: 'an address that is a secret stays out of the server’s records as env:NAME or file:/PATH, which the worker reads',
    details: { flag: '--notify-url' },
  });
}
