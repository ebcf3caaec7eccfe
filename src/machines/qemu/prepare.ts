import { baseFor } from '../../bases/registry.js';
import type { BaseImage } from '../../bases/base.js';
import type { MachineShape } from '../../domain/profile.js';
import type { Work } from '../../domain/work.js';
import { cacheDirectory, type Layout } from '../../host/paths.js';
import { templatesFolder } from './driver.js';
import { findInstallation, possibleShape } from './installation.js';
import { benchKey } from '../login.js';
import { hasTemplate, templateFor } from './template.js';

const GIB = 1024 ** 3;

/** What a profile gets that asks for nothing: frozen ahead of time. */
export const DEFAULT_SHAPE: MachineShape = { memoryMiB: 2048, cpus: 2, diskBytes: [20 * GIB], firmware: 'uefi' };

/**
 * What `nixproof setup --base NAME` does: gets or builds the base, then boots it once and freezes a template for `shape`. Where
 * both are there it does nothing and says so.
 * @throws NixproofError `UNSUPPORTED_BASE`, `HOST_*`, `MACHINE_NEVER_BOOTED`
 */
export async function prepareBase(
  name: string,
  layout: Layout,
  work: Work,
  shape: MachineShape = DEFAULT_SHAPE,
): Promise<BaseImage> {
  const base = baseFor(name, layout);
  const installation = await findInstallation(cacheDirectory(), work.signal);
  const image = await base.prepare(work);
  // A host without OVMF can still freeze a BIOS template.
  const possible = possibleShape(installation.uefi ? shape : { ...shape, firmware: 'bios' }, installation);
  const request = {
    base: image,
    shape: possible,
    installation,
    login: await benchKey(layout),
    folder: templatesFolder(layout, image),
  };
  if (await hasTemplate(request)) work.progress('its template is frozen already');
  else await templateFor(request, work);
  return image;
}
