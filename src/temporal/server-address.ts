import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { NativeConnectionOptions } from '@temporalio/worker';
import { NixproofError, messageOf } from '../domain/error.js';

/** Where a Temporal server is and how to log in there. */
export interface ServerAddress {
  readonly address: string;
  /** `default` unless given. */
  readonly namespace?: string;
  /** TLS, API key and the like. */
  readonly options?: NativeConnectionOptions;
}

/**
 * The server that the environment or a Temporal configuration file names (`TEMPORAL_ADDRESS`, `TEMPORAL_PROFILE`, … as every
 * Temporal SDK reads them), or undefined where neither does: the local stack is meant.
 * @throws NixproofError `CONFIG_TEMPORAL` where the configuration cannot be read
 */
export function serverFromEnvironment(): ServerAddress | undefined {
  try {
    // The local stack's worker is told everything by its environment: a profile in a file is for servers elsewhere.
    const disableFile = process.env['NIXPROOF_PARENT_PIPE'] === '1';
    const { connectionOptions, namespace } = loadClientConnectConfig({ disableFile });
    if (!connectionOptions.address) return undefined;
    return {
      address: connectionOptions.address,
      ...(namespace === undefined ? {} : { namespace }),
      options: connectionOptions,
    };
  } catch (error) {
    throw new NixproofError('CONFIG_TEMPORAL', `the Temporal configuration cannot be read: ${messageOf(error)}`, {
      hint: 'see TEMPORAL_CONFIG_FILE, TEMPORAL_PROFILE and the file they name',
      cause: error,
    });
  }
}

/** A fault that says a server cannot be reached. */
export function unreachable(server: ServerAddress, cause: unknown): NixproofError {
  return new NixproofError(
    'SERVER_UNREACHABLE',
    `no Temporal server answers at ${server.address}: ${messageOf(cause)}`,
    {
      hint: 'check TEMPORAL_ADDRESS, or unset it to use the local stack',
      cause,
    },
  );
}
