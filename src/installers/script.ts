import type { Installation } from '../domain/profile.js';

/** The shell script that `kind: script` runs in the guest: the user's own command line. */
export function scriptInstaller(install: Extract<Installation, { kind: 'script' }>): string {
  return `${install.run}\n`;
}
