// Compiles src/ to dist/, bundles the workflows ahead of time, writes the JSON Schemas of the configuration and of the reports, and the
// manual page.
// Does nothing where the sources, the lock file and the compiler's settings are those of the last build.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const at = (...parts) => path.join(root, ...parts);

function fingerprint() {
  const sources = readdirSync(at('src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
  const hash = createHash('sha256');
  for (const file of [
    ...sources.sort(),
    at('package-lock.json'),
    at('tsconfig.json'),
    at('tsconfig.build.json'),
    at('scripts/build.mjs'),
    at('assets/failures.cjs'),
  ]) {
    hash
      .update(`${path.relative(root, file)}\0`)
      .update(readFileSync(file))
      .update('\0');
  }
  return hash.digest('hex');
}

const stamp = at('dist', '.fingerprint');
const wanted = fingerprint();
if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) process.exit(0);

process.stderr.write('building nixproof …\n');
rmSync(at('dist'), { recursive: true, force: true });
execFileSync(process.execPath, [at('node_modules/typescript-native/bin/tsc'), '-p', at('tsconfig.build.json')], {
  stdio: 'inherit',
});
chmodSync(at('dist/cli/main.js'), 0o755);

const { bundleWorkflowCode } = await import('@temporalio/worker');
const quiet = { log() {}, trace() {}, debug() {}, info() {}, warn: console.warn, error: console.error };
const { code } = await bundleWorkflowCode({
  workflowsPath: at('dist/workflows/index.js'),
  workflowInterceptorModules: [at('dist/workflows/orders.js')],
  failureConverterPath: at('assets/failures.cjs'),
  logger: quiet,
});
writeFileSync(at('dist/workflow-bundle.js'), code);

const { configJsonSchema } = await import(at('dist/config/json-schema.js'));
mkdirSync(at('schema'), { recursive: true });
writeFileSync(at('schema/nixproof.schema.json'), `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
const { createGenerator } = await import('ts-json-schema-generator');
const { $schema, ...reports } = createGenerator({
  path: at('src/domain/suite.ts'),
  tsconfig: at('tsconfig.json'),
  skipTypeCheck: true,
  sortProps: false,
  // Fields are added in later versions: whoever reads a report passes over those it does not know.
  additionalProperties: true,
}).createSchema('SuiteReport');
writeFileSync(
  at('schema/report.schema.json'),
  `${JSON.stringify({ $schema, title: 'nixproof suite report; a run is #/definitions/RunReport', ...reports }, null, 2)}\n`,
);
const { createProgram } = await import(at('dist/cli/program.js'));
const { manPage } = await import(at('dist/cli/man-page.js'));
mkdirSync(at('man'), { recursive: true });
writeFileSync(at('man/nixproof.1'), manPage(createProgram()));
writeFileSync(stamp, wanted);
