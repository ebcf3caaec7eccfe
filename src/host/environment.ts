import { NixproofError } from '../domain/error.js';
import { ACCELERATORS, type Accelerator } from '../domain/profile.js';

/**
 * A whole number from 1 in a variable of the environment; undefined where it is not set.
 * @throws NixproofError `CONFIG_ENVIRONMENT`
 */
export function numberInEnvironment(env: NodeJS.ProcessEnv, name: string): number | undefined {
  const text = env[name];
  if (text === undefined || text === '') return undefined;
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new NixproofError(
    'CONFIG_ENVIRONMENT',
    `${name}: expected a whole number from 1, got ${JSON.stringify(text)}`,
    {
      hint: `set ${name} to a number, or unset it`,
      details: { variable: name },
    },
  );
}

/**
 * `NIXPROOF_ACCELERATOR`; undefined where it is not set.
 * @throws NixproofError `CONFIG_ENVIRONMENT`
 */
export function acceleratorInEnvironment(env: NodeJS.ProcessEnv): Accelerator | 'auto' | undefined {
  const text = env['NIXPROOF_ACCELERATOR']?.trim();
  if (text === undefined || text === '') return undefined;
  const known = (['auto', ...ACCELERATORS] as const).find((one) => one === text);
  if (known !== undefined) return known;
  throw new NixproofError(
    'CONFIG_ENVIRONMENT',
    `NIXPROOF_ACCELERATOR: expected auto, kvm, hvf or tcg, got ${JSON.stringify(text)}`,
    {
      hint: 'set NIXPROOF_ACCELERATOR to one of these, or unset it',
      details: { variable: 'NIXPROOF_ACCELERATOR' },
    },
  );
}
