// Writes sbom.cdx.json, the list of what the package is made of. Run by `npm pack` and `npm publish`.
// usage: node scripts/sbom.mjs [FILE]
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const file = process.argv[2] ?? `${root}sbom.cdx.json`;
const args = ['sbom', '--omit=dev', '--sbom-format=cyclonedx', '--sbom-type=application'];
const list = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 }));
// npm names the component after the folder.
list.metadata.component.name = JSON.parse(readFileSync(`${root}package.json`, 'utf8')).name;
writeFileSync(file, `${JSON.stringify(list, null, 2)}\n`);
