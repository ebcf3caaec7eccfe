import { quote } from '../machines/quote.js';

/**
 * A flake reference as a word of a shell in the deployed folder. A flake of that folder is named by its path: below somebody
 * else's Git repository `.` would mean that one.
 */
export function flakeWord(reference: string): string {
  const at = reference.indexOf('#');
  const flake = reference.slice(0, at);
  const output = reference.slice(at);
  const isDeployed = flake === '' || flake === '.' || flake.startsWith('./');
  return isDeployed ? `"path:$PWD"${quote([flake.slice(1) + output])}` : quote([reference]);
}
