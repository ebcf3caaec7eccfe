import { NixproofError } from '../../domain/error.js';
import type { SecretSource } from '../../domain/profile.js';
import { addressProblem, type Receiver } from '../../domain/schedule.js';

/** @throws NixproofError `CONFIG_FLAG` */
export function receiversOf(
  urls: readonly string[],
  commands: readonly string[],
  key: string | undefined,
): readonly Receiver[] {
  if (key !== undefined && urls.length === 0) {
    throw new NixproofError('CONFIG_FLAG', '--notify-key signs what --notify-url is sent, and there is none', {
      hint: 'give --notify-url too',
      details: { flag: '--notify-key' },
    });
  }
  const signed = key === undefined ? {} : { key: requireReference(key) };
  return [
    ...urls.map((url): Receiver => ({ kind: 'webhook', url: requireAddress(url), ...signed })),
    ...commands.map((command): Receiver => ({ kind: 'command', command })),
  ];
}

/**
 * The receivers whose address is `secret:NAME` with the place where the configuration has that
 * from.
 * @throws NixproofError `CONFIG_FLAG`
 */
export function withSecrets(
  receivers: readonly Receiver[],
  secrets: Readonly<Record<string, SecretSource | 'inside the source'>>,
  untrusted: boolean,
): readonly Receiver[] {
  return receivers.map((receiver) => {
    const [, name] = (receiver.kind === 'webhook' && /^secret:(.*)$/.exec(receiver.url)) || [];
    if (name === undefined) return receiver;
    const secret = Object.hasOwn(secrets, name) ? secrets[name] : undefined;
    if (typeof secret === 'object' && !untrusted) return { ...receiver, secret };
    const what = untrusted
      ? 'the configuration of an --untrusted schedule has no say in what the worker reads'
      : secret === undefined
        ? `the configuration has no secret ${JSON.stringify(name)}`
        : `the secret ${JSON.stringify(name)} has a path that starts from the configuration, and each firing has a copy of that of its own`;
    throw new NixproofError('CONFIG_FLAG', `--notify-url: ${what}`, {
      hint: 'name a secret of `secrets:` that comes from `env`, an absolute path or a program on PATH, or give env:NAME or file:/PATH, which the worker reads',
      details: { flag: '--notify-url' },
    });
  });
}

function isReference(text: string): boolean {
  return /^env:[A-Za-z_]\w*$/.test(text) || /^file:\/(?!\/)/.test(text);
}

function requireReference(key: string): string {
  if (isReference(key)) return key;
  throw new NixproofError('CONFIG_FLAG', '--notify-key: expected env:NAME or file:/PATH, an absolute path', {
    hint: 'a key stays out of the server’s records: the worker reads it from its environment or a file',
    details: { flag: '--notify-key' },
  });
}

/** It goes into the server's records: a secret may only be referred to. */
function requireAddress(url: string): string {
  if (isReference(url) || /^secret:.+$/.test(url)) return url;
  const problem = addressProblem(url);
  if (problem === undefined) return url;
  throw new NixproofError('CONFIG_FLAG', `--notify-url: the address ${problem}`, {
    hint: 'give an http or https URL, env:NAME, file:/PATH or secret:NAME; an address that is a secret stays out of the server’s records as env:NAME or file:/PATH, which the worker reads',
    details: { flag: '--notify-url' },
  });
}
