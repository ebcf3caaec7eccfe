/**
 * What programs need to be found and started, the last three where Node or QEMU is not the
 * distribution's.
 */
const PASSED_ON = ['PATH', 'HOME', 'TMPDIR', 'LANG', 'LD_LIBRARY_PATH', 'NIX_LD', 'NIX_LD_LIBRARY_PATH'] as const;

/**
 * The environment of programs that need no more of ours, such as a machine's and the Temporal
 * server: a guest that takes one over finds no secret of the worker there.
 */
export function leastEnvironment(marks: Readonly<Record<string, string>>): Record<string, string> {
  const passedOn = PASSED_ON.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return { ...Object.fromEntries(passedOn), ...marks };
}
