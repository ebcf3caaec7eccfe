import { runCommand } from '../../../src/host/process.js';

/**
 * Whether a tool is here to test with. Its absence is printed; where `NIXPROOF_TEST_REQUIRE` names it, it fails the tests.
 * @param probe arguments with which the tool ends at once and well
 */
export async function toolIsHere(tool: string, probe: readonly string[]): Promise<boolean> {
  try {
    await runCommand(tool, probe);
    return true;
  } catch (error) {
    const required = (process.env['NIXPROOF_TEST_REQUIRE'] ?? '').split(',');
    if (required.includes(tool)) throw error;
    console.warn(`skipped: ${tool} is not installed`);
    return false;
  }
}
