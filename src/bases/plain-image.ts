import { open } from 'node:fs/promises';

/**
 * Enough of an image's beginning for what is looked at: QEMU itself looks at 2048 bytes to tell its
 * format.
 */
const HEAD_BYTES = 64 * 1024;

/**
 * Formats beside raw and qcow2 that QEMU knows by their first bytes. A vmdk may also be a text,
 * which begins with a comment, a blank or its version (QEMU's block/vmdk.c).
 */
const OTHERS: readonly (readonly [begin: RegExp, name: string])[] = [
  [/^(?:KDMV|COWD|[#\s]|version=)/, 'vmdk'],
  [/^vhdxfile/, 'vhdx'],
  [/^(?:conectix|cxsparse)/, 'vhd'],
  [/^QED\0/, 'qed'],
  [/^(?:WithoutFreeSpace|WithouFreSpacExt)/, 'parallels'],
  [/^Bochs Virtual HD Image/, 'bochs'],
  [/^#!\/bin\/sh\n#V2\.0 Format/, 'cloop'],
  [/^.{64}\x7f\x10\xda\xbe/s, 'vdi'],
  [/^LUKS\xba\xbe/, 'luks'],
];

/**
 * Layout of a qcow2 header, in bytes (QEMU's docs/interop/qcow2.txt). All numbers are big-endian.
 */
const QCOW2 = { magic: 'QFI\xfb', version: 4, backing: 8, features: 72, headerLength: 100, least: 104 } as const;
/** Of the incompatible features: the data are in another file. */
const EXTERNAL_DATA = 1n << 2n;
const BACKING_FORMAT = 0xe2792aca;
const DATA_FILE = 0x44415441;

/**
 * Why an image may be more than one file: QEMU would open the others, wherever they are. The header
 * is read here, as QEMU's own tools would open what it names.
 * @returns what is wrong, in words; undefined if it is a raw image or a qcow2 image that names no
 * other
 */
export async function whyNotPlain(file: string): Promise<string | undefined> {
  await using handle = await open(file);
  if (!(await handle.stat()).isFile()) return 'it is not a file';
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
  const head = buffer.subarray(0, bytesRead);
  const text = head.toString('latin1', 0, 2048);
  if (text.startsWith(QCOW2.magic)) return whyNotAlone(head);
  const other = OTHERS.find(([begin]) => begin.test(text))?.[1];
  return other === undefined ? undefined : `its format is ${other}`;
}

function whyNotAlone(head: Buffer): string | undefined {
  if (head.length < QCOW2.least) return 'its qcow2 header is cut off';
  const version = head.readUInt32BE(QCOW2.version);
  if (version !== 2 && version !== 3) return `its format is qcow ${version}`;
  if (head.readBigUInt64BE(QCOW2.backing) !== 0n) return 'it has a backing file';
  if (version === 3 && (head.readBigUInt64BE(QCOW2.features) & EXTERNAL_DATA) !== 0n) return 'it has a data file';
  const begin = version === 3 ? head.readUInt32BE(QCOW2.headerLength) : 72;
  for (let at = begin; ;) {
    if (at + 8 > head.length) return 'its qcow2 header is longer than 64 KiB';
    const kind = head.readUInt32BE(at);
    if (kind === 0) return undefined;
    if (kind === DATA_FILE) return 'it has a data file';
    if (kind === BACKING_FORMAT) return 'it has a backing file';
    at += 8 + Math.ceil(head.readUInt32BE(at + 4) / 8) * 8;
  }
}
