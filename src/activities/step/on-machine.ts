import { hasCode } from '../../domain/error.js';
import { benchOfRun, machineOf } from '../../domain/names.js';
import { installsFromOutside } from '../../domain/installer.js';
import type { RunRequest } from '../../domain/run.js';
import { runCommand } from '../../host/process.js';
import type { Machine, Work } from '../../machines/machine.js';
import type { Registry } from '../../machines/registry.js';
import type { RunFiles } from '../../records/artifacts.js';
import { noteConsoleTimes } from './console-times.js';
import { withoutSecrets } from '../../secrets/redacted-machine.js';
import type { SecretStore } from '../../secrets/store.js';
import { visibleText } from '../../stream/text.js';
import { keepCable } from './cable.js';
import type { InstallContext, StepContext } from './context.js';

/**
 * Where a run's steps take place: on the machine that is tested, where its installer runs, or with
 * both at hand. The secrets of the run are read first. What the step gets from the machine, tells
 * and throws has none in it.
 */
export function createScenes(machines: Registry, filesOf: (request: RunRequest) => RunFiles, store: SecretStore) {
  const attach = async (request: RunRequest, work: Work): Promise<{ readonly machine: Machine } & AsyncDisposable> => {
    const machine = await machines.driver(request.driver).attach(machineOf(request), work);
    // Several consoles at once cannot be noted in one file: those of a race's copies have no times.
    const stopNoting =
      request.machine === undefined ? noteConsoleTimes(machine, filesOf(request)) : () => Promise.resolve();
    const stopKeeping = keepCable(machine, request, filesOf(request));
    return {
      machine,
      async [Symbol.asyncDispose]() {
        stopKeeping();
        await stopNoting();
        await machine[Symbol.asyncDispose]();
      },
    };
  };

  const inScene = async <T>(
    request: RunRequest,
    work: Work,
    attached: () => Promise<{ readonly machine: Machine } & AsyncDisposable>,
    use: (context: StepContext) => Promise<T>,
  ): Promise<T> => {
    const secrets = await store.of(request, work.signal);
    const { redactor, values } = secrets;
    const quiet: Work = { ...work, progress: (message) => work.progress(redactor.text(visibleText(message))) };
    try {
      await using at = await attached();
      const machine = values.size === 0 ? at.machine : withoutSecrets(at.machine, redactor);
      return redactor.value(await use({ machine, secrets, request, files: filesOf(request), work: quiet }));
    } catch (error) {
      throw redactor.error(error);
    }
  };

  const onMachine = <T>(request: RunRequest, work: Work, use: (context: StepContext) => Promise<T>): Promise<T> =>
    inScene(request, work, () => attach(request, work), use);

  /** Without a look at the machine itself, which may be away. */
  const onInstaller = async <T>(
    request: RunRequest,
    work: Work,
    use: (context: StepContext) => Promise<T>,
  ): Promise<T> => {
    if (!installsFromOutside(request.profile.install)) return onMachine(request, work, use);
    const outside = async () => {
      const machine = await machines.driver('sandbox').attach(benchOfRun(request.run), work);
      return { machine, [Symbol.asyncDispose]: () => machine[Symbol.asyncDispose]() };
    };
    return inScene(request, work, outside, use);
  };

  const onBoth = async <T>(
    request: RunRequest,
    work: Work,
    use: (context: InstallContext) => Promise<T>,
  ): Promise<T> => {
    if (!installsFromOutside(request.profile.install)) {
      return onMachine(request, work, (context) => use({ ...context, target: context.machine }));
    }
    // One that is away is for the installer to fail at, and for heals to bring back.
    await using at = await attach(request, work).catch(unlessGone);
    return await onInstaller(request, work, (context) =>
      use({ ...context, target: at && withoutSecrets(at.machine, context.secrets.redactor) }),
    );
  };

  return { onMachine, onInstaller, onBoth };
}

function unlessGone(error: unknown): undefined {
  if (!hasCode(error, 'MACHINE_GONE')) throw error;
}

/**
 * Makes the sandbox in which an installer runs that installs from outside; does nothing for any other. It has no disks: no
 * heal shall take one of this host's for the target's.
 * @throws NixproofError `HOST_TOOL_MISSING`, `HOST_DISK_FULL`
 */
export async function makeOutside(machines: Registry, { run, profile }: RunRequest, work: Work): Promise<void> {
  if (!installsFromOutside(profile.install)) return;
  await runCommand('nixos-anywhere', ['--help'], {
    signal: work.signal,
    timeoutMs: 60_000,
    hint: 'run the worker where it is: `nix shell github:nix-community/nixos-anywhere -c nixproof …`, or `nix profile install` it',
  });
  const wanted = { id: benchOfRun(run), base: undefined, shape: { ...profile.machine, diskBytes: [] } };
  await (await machines.driver('sandbox').create(wanted, work))[Symbol.asyncDispose]();
}

/** Ends what runs in that sandbox and removes it; does nothing where there is none. */
export async function endOutside(machines: Registry, { run, profile }: RunRequest, work: Work): Promise<void> {
  if (installsFromOutside(profile.install)) await machines.driver('sandbox').destroy(benchOfRun(run), work);
}
