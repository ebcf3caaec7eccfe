import { messageOf } from '../../domain/error.js';
import { runCommand } from '../../host/process.js';

/** What a `temporal` program says of itself. */
export interface ServerVersion {
  /** The CLI's own version; `0.0.0-DEV` where it was built from source without a version in it. */
  readonly cli: string;
  /** The version of the server inside; undefined for very old ones that do not say. */
  readonly server: string | undefined;
  /** The whole line, as printed. */
  readonly line: string;
}

export type VersionProbe =
  { readonly usable: true; readonly version: ServerVersion } | { readonly usable: false; readonly reason: string };

/** Runs `FILE --version` and `FILE server start-dev --help`: whether this is a Temporal CLI (1.0 or later) with a server in it. */
export async function probeExecutable(
  file: string,
  signal: AbortSignal,
  env: NodeJS.ProcessEnv,
): Promise<VersionProbe> {
  const options = { signal, timeoutMs: 15_000, env: env as Record<string, string> };
  try {
    const version = parseVersion(await runCommand(file, ['--version'], options));
    if (!version) return { usable: false, reason: `${file} does not say a Temporal CLI's version` };
    if (!isRecentEnough(version))
      return { usable: false, reason: `${file} is version ${version.cli}; 1.0 or later is needed` };
    await runCommand(file, ['server', 'start-dev', '--help'], options);
    return { usable: true, version };
  } catch (error) {
    signal.throwIfAborted();
    return { usable: false, reason: messageOf(error) };
  }
}

/** `temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)`; releases before 1.1 put further lines after it. */
export function parseVersion(output: string): ServerVersion | undefined {
  const line = output.split('\n').find((text) => /^temporal version \d/.test(text));
  if (line === undefined) return undefined;
  const cli = /^temporal version (\S+)/.exec(line)?.[1];
  return cli === undefined ? undefined : { cli, server: /\(Server ([^,)\s]+)/.exec(line)?.[1], line: line.trim() };
}

/** A development build has no version of its own; it is known by its server's. */
function isRecentEnough({ cli, server }: ServerVersion): boolean {
  const version = cli.startsWith('0.0.0') ? server : cli;
  return Number(version?.split('.', 1)[0] ?? 0) >= 1;
}

/** Orders `1.10.0` after `1.9.2`. */
export function compareVersions(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
