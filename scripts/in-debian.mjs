// Runs a command with the tools of another Debian, this Node and this checkout's programs:
// `in-debian.mjs trixie vitest run FILE`. Root only; the root folder is built once, into the user's
// cache.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createJiti } from 'jiti';

const [suite, ...command] = process.argv.slice(2);
const { DEBIAN_SUITES, debianRoot, insideRoot } = await createJiti(import.meta.url).import('../test/debian-root.ts');
if (!DEBIAN_SUITES.includes(suite) || command.length === 0) {
  console.error(`usage: in-debian.mjs ${DEBIAN_SUITES.join('|')} COMMAND…`);
  process.exit(2);
}
const [file, ...args] = [...insideRoot(await debianRoot(suite)), ...command];
const programs = fileURLToPath(new URL('../node_modules/.bin', import.meta.url));
const env = { ...process.env, PATH: [path.dirname(process.execPath), programs, process.env.PATH].join(':') };
process.exitCode = spawnSync(file, args, { stdio: 'inherit', env }).status ?? 1;
