import type { Command } from 'commander';
import { machineLeftovers, sweep } from '../leftovers.js';
import { runCommand, type CommonOptions } from '../session.js';

interface CleanupOptions extends CommonOptions {
  readonly dryRun?: boolean;
}

export function registerVmCleanup(vm: Command): void {
  vm.command('cleanup')
    .description('remove machines that nobody needs any more, half-made ones and orphaned processes; says what first')
    .option('--dry-run', 'only say what would go')
    .option('--json', 'print what goes as JSON')
    .option('--verbose', 'show stack traces of faults')
    .addHelpText(
      'after',
      '\nStay: machines of runs that go on, kept ones (--keep), those of `vm start`. `nixproof cleanup` removes kept ones by age.\n\nExample:\n  nixproof vm cleanup --dry-run',
    )
    .action((options: CleanupOptions) =>
      runCommand(options, async (session) =>
        sweep(session, await machineLeftovers(session, 0, 'nixproof vm cleanup'), options.dryRun ?? false),
      ),
    );
}
