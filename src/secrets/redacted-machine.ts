import type { Connection, ExecOptions, ExecResult, Machine, Work } from '../machines/machine.js';
import type { Redactor } from './redactor.js';

/**
 * A machine whose answers and errors have no secrets in them. The bytes of `stream` are as they
 * are.
 */
export function withoutSecrets(machine: Machine, redactor: Redactor): Machine {
  /** The same function, whose errors have no secrets. */
  const clean =
    <A extends readonly unknown[], T>(body: (...args: A) => Promise<T>) =>
    (...args: A): Promise<T> =>
      body(...args).catch((error: unknown) => {
        throw redactor.error(error);
      });
  const { console, checkpoints } = machine;
  // Its getters and what else it has stay its own.
  return Object.create(
    machine,
    properties({
      connect: clean(async (work: Work) => redactedConnection(await machine.connect(work), redactor)),
      restartInstalled: clean((work: Work, deadlineMs?: number) => machine.restartInstalled(work, deadlineMs)),
      reboot: clean((work: Work) => machine.reboot(work)),
      ...(console && {
        console: { ...console, exec: clean(redactedExec((argv, options) => console.exec(argv, options), redactor)) },
      }),
      ...(checkpoints && {
        checkpoints: {
          ...checkpoints,
          restore: clean((name: string, work: Work) => checkpoints.restore(name, work)),
          ...(checkpoints.fork && { fork: clean(checkpoints.fork) }),
        },
      }),
    }),
  ) as Machine;
}

/** The same connection, whose answers have no secrets in them. */
function redactedConnection(connection: Connection, redactor: Redactor): Connection {
  const exec = redactedExec((argv, options) => connection.exec(argv, options), redactor);
  return Object.create(connection, properties({ exec })) as Connection;
}

type Exec<O extends Pick<ExecOptions, 'raw'>> = (argv: readonly string[], options?: O) => Promise<ExecResult>;

function redactedExec<O extends Pick<ExecOptions, 'raw'>>(exec: Exec<O>, redactor: Redactor): Exec<O> {
  return async (argv, options) => {
    const result = await exec(argv, options);
    if (options?.raw === true) return result;
    const { exitCode, ...texts } = result;
    const clean = redactor.value(texts);
    const same = clean.stdout === result.stdout && clean.stderr === result.stderr && clean.parting === result.parting;
    return same ? result : { ...clean, exitCode, redacted: true };
  };
}

function properties(values: Readonly<Record<string, unknown>>): PropertyDescriptorMap {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, { value, enumerable: true }]));
}
