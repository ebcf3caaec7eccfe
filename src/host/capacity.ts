import { readFile, statfs } from 'node:fs/promises';
import { freemem } from 'node:os';
import { FULL_DISK_HINT, NixproofError } from '../domain/error.js';

const MIB = 1024 * 1024;

/** @throws NixproofError `HOST_DISK_FULL` where the folder's file system has less than `bytes` left */
export async function requireDisk(folder: string, bytes: number, purpose: string): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const freeBytes = bavail * bsize;
  if (freeBytes >= bytes) return;
  throw new NixproofError(
    'HOST_DISK_FULL',
    `${folder} has ${Math.floor(freeBytes / MIB)} MiB left; ${purpose} needs ${Math.ceil(bytes / MIB)} MiB`,
    {
      hint: FULL_DISK_HINT,
      details: { folder, freeBytes, neededBytes: bytes },
    },
  );
}

/** @throws NixproofError `HOST_MEMORY_LOW` where the host has less than `memoryMiB` to give */
export async function requireMemory(memoryMiB: number): Promise<void> {
  const availableMiB = await availableMemoryMiB();
  if (availableMiB >= memoryMiB) return;
  throw new NixproofError(
    'HOST_MEMORY_LOW',
    `the machine needs ${memoryMiB} MiB of memory, the host has ${availableMiB} MiB`,
    {
      hint: 'run fewer tests at the same time (--parallel), or give the profile less `machine.memory`',
      details: { availableMiB, neededMiB: memoryMiB },
    },
  );
}

/** What can be had without swapping: `MemAvailable` of /proc/meminfo (proc(5)); elsewhere what is free. */
async function availableMemoryMiB(): Promise<number> {
  const text = await readFile('/proc/meminfo', 'utf8').catch(() => '');
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1];
  return Math.floor(kib === undefined ? freemem() / MIB : Number(kib) / 1024);
}
