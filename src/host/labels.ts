import { NixproofError } from '../domain/error.js';

/** What a label looks like: it is told, and compared, as it is. */
export const LABEL = /^[A-Za-z0-9][\w.-]{0,62}$/;

/**
 * The labels a host is given: of `NIXPROOF_LABELS`, separated by commas, and those named besides.
 * @throws NixproofError `CONFIG_ENVIRONMENT`
 */
export function givenLabels(more: readonly string[], env: NodeJS.ProcessEnv = process.env): readonly string[] {
  const written = (env['NIXPROOF_LABELS'] ?? '').split(',').map((label) => label.trim());
  const labels = [...new Set([...written.filter((label) => label !== ''), ...more])];
  for (const label of labels) {
    if (LABEL.test(label)) continue;
    throw new NixproofError('CONFIG_ENVIRONMENT', `not a label: ${JSON.stringify(label)}`, {
      hint: 'labels are letters, digits, dots, dashes and underscores, no more than 63',
      details: { label },
    });
  }
  return labels;
}

/** By the names that Nix and the kernel have for it. */
export function architecture(): string {
  return { x64: 'x86_64', arm64: 'aarch64' }[process.arch as string] ?? process.arch;
}
