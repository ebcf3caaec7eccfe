// Writes sbom.cdx.json, the list of what the package is made of. Run by `npm pack` and
// `npm publish`. usage: node scripts/sbom.mjs [FILE]
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const file = process.argv[2] ?? `${root}sbom.cdx.json`;
const args = ['sbom', '--sbom-format=cyclonedx', '--sbom-type=application'];
const list = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 }));
// `--omit=dev` also leaves out what a dependency shares with a development dependency (npm 11.19).
const DEVELOPMENT = 'cdx:npm:package:development';
const isShipped = ({ properties = [] }) =>
  !properties.some(({ name, value }) => name === DEVELOPMENT && value === 'true');
list.components = list.components.filter(isShipped);
const shipped = new Set([list.metadata.component, ...list.components].map((component) => component['bom-ref']));
list.dependencies = list.dependencies
  .filter(({ ref }) => shipped.has(ref))
  .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((other) => shipped.has(other)) }));
// npm names the component after the folder.
list.metadata.component.name = JSON.parse(readFileSync(`${root}package.json`, 'utf8')).name;
writeFileSync(file, `${JSON.stringify(list, null, 2)}\n`);
