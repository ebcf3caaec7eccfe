import { hasCode, NixproofError } from '../../domain/error.js';
import type { ExistingMachine } from '../../domain/profile.js';
import { readJson, writeJson } from '../../host/files.js';
import type { Layout } from '../../host/paths.js';
import { hostFiles } from './record.js';

/** `hosts/<address>:<port>/host-key.json`: the key under which a machine was last seen. */
interface KnownKey {
  readonly hostKey: string;
  /** What the configuration pinned at that time; another configuration begins anew. */
  readonly configured: string | null;
}

/**
 * The key a machine must present before a run; undefined where any will do. A machine that is reset comes back with the
 * pristine system's key, one that is not with the key of what was last installed.
 */
export async function expectedHostKey(layout: Layout, host: ExistingMachine): Promise<string | undefined> {
  if (host.hostKeyChangesOnReset) return undefined;
  if (host.commands.reset !== undefined && host.hostKey !== undefined) return host.hostKey;
  const known = await readJson<KnownKey>(hostFiles(layout, host).hostKey);
  return known && known.configured === (host.hostKey ?? null) ? known.hostKey : host.hostKey;
}

/** Keeps the key for the next run. */
export async function rememberHostKey(layout: Layout, host: ExistingMachine, hostKey: string): Promise<void> {
  if (host.hostKeyChangesOnReset) return;
  const known: KnownKey = { hostKey, configured: host.hostKey ?? null };
  await writeJson(hostFiles(layout, host).hostKey, known);
}

/** `TRANSPORT_HOST_KEY` with the place where the key is pinned; any other error as it is. */
export function namingThePin(layout: Layout, host: ExistingMachine, error: unknown): unknown {
  if (!hasCode(error, 'TRANSPORT_HOST_KEY')) return error;
  const { name } = host;
  const isConfigured = error.details['pinned'] === host.hostKey;
  const change = isConfigured ? `correct machines.${name}.hostKey` : `remove ${hostFiles(layout, host).hostKey}`;
  return new NixproofError('TRANSPORT_HOST_KEY', `${name}: ${error.message}`, {
    hint: `another machine answers at this address, or its reset did not reset it; if the change is yours, ${change}`,
    details: error.details,
    cause: error,
  });
}
