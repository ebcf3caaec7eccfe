import { createHmac } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { NixproofError, messageOf } from '../../domain/error.js';
import { addressProblem, type Notification, type Receiver } from '../../domain/schedule.js';
import type { Work } from '../../domain/work.js';
import { runCommand } from '../../host/process.js';
import { readSecret, withoutFinalNewlines } from '../../secrets/read.js';
import { LEAST_SECRET_BYTES } from '../../secrets/redactor.js';

type WebHook = Extract<Receiver, { kind: 'webhook' }>;

const ANSWER_MS = 30_000;
const COMMAND_MS = 5 * 60_000;
/** What a server says that wants to be asked again. */
const LATER = new Set([408, 425, 429]);

/**
 * Tells one receiver of one change. Done again it says the same with the same key. No address, answer or output gets into a
 * message: each may hold a secret.
 * @throws NixproofError `TRANSPORT_NOTIFY` where another try may help; `CONFIG_NOTIFY` where none does
 */
export async function notifyReceiver(receiver: Receiver, notification: Notification, work: Work): Promise<void> {
  if (receiver.kind === 'command') await runReceiver(receiver.command, notification, work);
  else {
    const key = receiver.key === undefined ? undefined : await signingKey(receiver.key);
    await post(await addressOf(receiver, work), notification, key, work);
  }
}

async function runReceiver(command: string, notification: Notification, { signal }: Work): Promise<void> {
  try {
    const input = `${JSON.stringify(notification)}\n`;
    await runCommand('sh', ['-c', command], { input, signal, timeoutMs: COMMAND_MS, group: true });
  } catch (error) {
    signal.throwIfAborted();
    const status = error instanceof NixproofError ? error.details['exitCode'] : undefined;
    throw new NixproofError(
      'TRANSPORT_NOTIFY',
      `the notification command ended with exit status ${String(status ?? 'unknown')}`,
    );
  }
}

async function post(url: URL, notification: Notification, key: Buffer | undefined, { signal }: Work): Promise<void> {
  const body = JSON.stringify(notification);
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'idempotency-key': notification.key,
      'user-agent': 'nixproof',
      ...(key === undefined ? {} : { 'x-nixproof-signature-256': signatureOf(body, key) }),
    },
    body,
    // Followed, a redirection becomes a GET that tells nobody anything.
    redirect: 'manual',
    signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
  }).catch((error: unknown) => {
    signal.throwIfAborted();
    if (error instanceof Error && error.cause instanceof Error && error.cause.message === 'bad port') {
      throw new NixproofError('CONFIG_NOTIFY', `HTTP clients do not connect to the webhook's port (${url.port})`, {
        hint: 'use another port: those of other protocols are blocked (fetch.spec.whatwg.org, "port blocking")',
      });
    }
    throw new NixproofError('TRANSPORT_NOTIFY', `the webhook did not answer: ${reasonOf(error)}`);
  });
  await response.body?.cancel();
  if (response.ok) return;
  if (response.status >= 500 || LATER.has(response.status))
    throw new NixproofError('TRANSPORT_NOTIFY', `the webhook answered ${response.status}`);
  throw new NixproofError('CONFIG_NOTIFY', `the webhook answered ${response.status}: it does not take this`, {
    hint: 'check that the webhook URL is still valid',
  });
}

/**
 * Of the body's bytes, by HMAC-SHA256 (RFC 2104): who has the key knows by it that the message is
 * ours and whole.
 */
function signatureOf(body: string, key: Buffer): string {
  return `sha256=${createHmac('sha256', key).update(body).digest('hex')}`;
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : undefined;
  return code ?? (error instanceof Error ? error.name : 'unknown');
}

/** Anyone could sign with a key that is empty or short. @throws NixproofError `CONFIG_NOTIFY` */
async function signingKey(written: string): Promise<Buffer> {
  const key = await referredTo(written);
  if (key.length >= LEAST_SECRET_BYTES) return key;
  throw new NixproofError('CONFIG_NOTIFY', `${written} has fewer than ${LEAST_SECRET_BYTES} bytes: it is no key`, {
    hint: 'make one, such as `openssl rand -hex 32`',
  });
}

/** @throws NixproofError `CONFIG_NOTIFY`, `CONFIG_SECRET` */
async function addressOf({ url: written, secret }: WebHook, { signal }: Work): Promise<URL> {
  const isReference = written.startsWith('env:') || written.startsWith('file:');
  const bytes = secret
    ? (await readSecret(written.slice('secret:'.length), secret, signal)).value
    : isReference
      ? await referredTo(written)
      : Buffer.from(written);
  const problem = addressProblem(bytes.toString('utf8').trim());
  if (problem === undefined) return new URL(bytes.toString('utf8').trim());
  const what = secret || isReference ? written : 'the webhook';
  throw new NixproofError('CONFIG_NOTIFY', `${what} ${problem}`, {
    hint: 'give an http or https URL; a token may stand in its path or query',
  });
}

/**
 * What a reference names, `env:NAME` or `file:PATH`, byte by byte, without the newlines at its end: a
 * key's signature is the one that other programs make with the same file.
 */
async function referredTo(written: string): Promise<Buffer> {
  if (written.startsWith('env:')) {
    const value = process.env[written.slice('env:'.length)];
    if (value !== undefined && value !== '') return withoutFinalNewlines(Buffer.from(value));
    throw new NixproofError('CONFIG_NOTIFY', `${written} is not set in the worker's environment`, {
      hint: 'set it where the worker (or `nixproof up`) is started',
    });
  }
  try {
    return withoutFinalNewlines(await readFile(written.slice('file:'.length)));
  } catch (error) {
    throw new NixproofError('CONFIG_NOTIFY', `${written} cannot be read: ${messageOf(error)}`, {});
  }
}
