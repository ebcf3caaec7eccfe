import { Client, Connection, isGrpcServiceError } from '@temporalio/client';
import proto from '@temporalio/proto';
import { SEARCH_ATTRIBUTES } from '../domain/names.js';
import type { SealingKey } from './key.js';
import { sealedClient } from './sealing.js';
import { unreachable, type ServerAddress } from './server-address.js';

/** A connection to a Temporal server on which runs are started and watched. */
export interface ServerLink extends AsyncDisposable {
  readonly client: Client;
  readonly address: string;
  readonly namespace: string;
  /** What is sent is sealed with it. */
  readonly key: SealingKey;
  /** Whether the server knows our search attributes. Runs go on without them. */
  readonly searchAttributes: boolean;
}

const CONNECT_MS = 10_000;
/** The status code of gRPC: google.golang.org/grpc/codes. */
const GRPC_NOT_FOUND = 5;
/** A new attribute is there a moment after it was added. */
const ATTRIBUTES_MS = 15_000;

/**
 * Connects, and adds our search attributes where they are missing and that is permitted.
 * @throws NixproofError `SERVER_UNREACHABLE`
 */
export async function connectClient(server: ServerAddress, key: SealingKey): Promise<ServerLink> {
  const namespace = server.namespace ?? 'default';
  let connection: Connection;
  try {
    connection = await Connection.connect({
      ...server.options,
      address: server.address,
      connectTimeout: CONNECT_MS,
    });
  } catch (error) {
    throw unreachable(server, error);
  }
  return {
    client: new Client({ connection, namespace, ...sealedClient(key) }),
    address: server.address,
    namespace,
    key,
    searchAttributes: await ensureSearchAttributes(connection, namespace),
    [Symbol.asyncDispose]: () => connection.close(),
  };
}

/** Whether the server has the namespace; one that does not answer that question may have it. */
export async function hasNamespace({ client, namespace }: ServerLink): Promise<boolean> {
  try {
    await client.workflowService.describeNamespace({ namespace });
    return true;
  } catch (error) {
    const code: number | undefined = isGrpcServiceError(error) ? error.code : undefined;
    return code !== GRPC_NOT_FOUND;
  }
}

const WANTED = Object.values(SEARCH_ATTRIBUTES);

/** True once the server knows them all; false where it does not and will not let us add them. */
async function ensureSearchAttributes(connection: Connection, namespace: string): Promise<boolean> {
  const missing = async () => {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    return WANTED.filter((name) => !(name in customAttributes));
  };
  try {
    const absent = await missing();
    if (absent.length === 0) return true;
    const { INDEXED_VALUE_TYPE_KEYWORD } = proto.temporal.api.enums.v1.IndexedValueType;
    await connection.operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(absent.map((name) => [name, INDEXED_VALUE_TYPE_KEYWORD])),
    });
    for (const end = performance.now() + ATTRIBUTES_MS; performance.now() < end;) {
      if ((await missing()).length === 0) return true;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return false;
  } catch {
    // No operator's permission (Temporal Cloud, a locked cluster): `nixproof doctor` names the command.
    return false;
  }
}
