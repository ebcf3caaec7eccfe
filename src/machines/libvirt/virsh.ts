import { NixproofError } from '../../domain/error.js';
import { runCommand } from '../../host/process.js';

export interface VirshOptions {
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

/** One libvirt: where its commands go. */
export interface Virsh {
  /** Undefined leaves the choice to virsh: `LIBVIRT_DEFAULT_URI`, its configuration, what is there (libvirt.org/uri.html). */
  readonly uri: string | undefined;
  /**
   * Runs a command of virsh and gives what it printed.
   * @throws NixproofError `HOST_LIBVIRT_MISSING`, `HOST_LIBVIRT_UNREACHABLE`, `MACHINE_LIBVIRT` with its last words
   */
  run(args: readonly string[], options?: VirshOptions): Promise<string>;
}

/** A loaded host starts a QEMU in seconds; a libvirtd that only just starts tries all its QEMUs first. */
const COMMAND_MS = 2 * 60_000;
const INSTALL_HINT =
  'install libvirt: `apt-get install libvirt-clients libvirt-daemon-system`, `dnf install libvirt-client libvirt-daemon-kvm`, or on NixOS `virtualisation.libvirtd.enable = true`';
const REACH_HINT =
  'start it (`sudo systemctl start libvirtd`) and be in the group libvirt, or set LIBVIRT_DEFAULT_URI=qemu:///session';

export function virshAt(uri: string | undefined): Virsh {
  return {
    uri,
    async run(args, { signal, timeoutMs = COMMAND_MS } = {}) {
      const argv = ['--quiet', ...(uri === undefined ? [] : ['--connect', uri]), ...args];
      try {
        return await runCommand('virsh', argv, {
          // Its messages are read.
          env: { LC_ALL: 'C' },
          code: 'MACHINE_LIBVIRT',
          timeoutMs,
          ...(signal === undefined ? {} : { signal }),
        });
      } catch (error) {
        if (error instanceof NixproofError) throw explained(error, uri);
        throw error;
      }
    },
  };
}

function explained(error: NixproofError, uri: string | undefined): NixproofError {
  if (error.code === 'HOST_TOOL_MISSING') {
    return new NixproofError('HOST_LIBVIRT_MISSING', 'virsh is not installed', { hint: INSTALL_HINT, cause: error });
  }
  if (!/failed to connect to the hypervisor/.test(error.message)) return error;
  const where = uri === undefined ? '' : ` at ${uri}`;
  const last =
    error.message
      .split('\n')
      .at(-1)
      ?.replace(/^error: /, '') ?? '';
  return new NixproofError('HOST_LIBVIRT_UNREACHABLE', `no libvirt answers${where}: ${last}`, {
    hint: REACH_HINT,
    cause: error,
  });
}
