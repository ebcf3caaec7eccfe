import { messageOf } from '../../domain/error.js';
import { serveSandbox, type SandboxListener } from './server.js';
import type { Answer, Order } from './serving.js';

/** The process in which the sandboxes' SSH servers are: see serving.ts. */

const ENDS_WITHIN_MS = 2000;
const listeners = new Map<number, SandboxListener>();

async function obey(order: Order): Promise<Answer> {
  if ('end' in order) {
    await listeners.get(order.end)?.[Symbol.asyncDispose]();
    listeners.delete(order.end);
    return { port: order.end };
  }
  const listener = await serveSandbox(order.start);
  listeners.set(listener.port, listener);
  return { port: listener.port };
}

process.on('message', (message: Order & { readonly order: number }) => {
  void obey(message)
    .catch((error: unknown): Answer => ({ error: messageOf(error) }))
    .then((answer) => process.connected && process.send?.({ order: message.order, ...answer }));
});
process.once('disconnect', () => {
  const ending = [...listeners.values()].map((listener) => listener[Symbol.asyncDispose]());
  void Promise.allSettled(ending).then(() => process.exit());
  // Whoever does not answer is not waited for.
  setTimeout(() => process.exit(), ENDS_WITHIN_MS);
});
