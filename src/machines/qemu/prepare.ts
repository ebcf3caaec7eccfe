import { baseFor } from '../../bases/registry.js';
import type { BaseImage } from '../../bases/base.js';
import type { MachineShape } from '../../domain/profile.js';
import type { Work } from '../../domain/work.js';
import type { Layout } from '../../host/paths.js';
import { type QemuHost, thisHost } from '../hypervisor/accelerator.js';
import { templatesFolder } from './driver.js';
import { withAccelerator } from '../hypervisor/first-guest.js';
import { findInstallation, possibleShape, type Installation } from '../hypervisor/installation.js';
import { benchKey } from '../login.js';
import { hasTemplate, templateFor, type TemplateRequest } from './template.js';

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
  host: QemuHost = thisHost(),
): Promise<BaseImage> {
  const base = baseFor(name, layout);
  const find = () => findInstallation(work.signal, shape.accelerator, host);
  // What is missing is said before anything large is built.
  await find();
  const image = await base.prepare(work);
  await withAccelerator(
    find,
    (installation) => installation,
    work,
    async (installation) => {
      const request = await templateRequest(layout, image, shape, installation);
      if (await hasTemplate(request)) work.progress('its template is frozen already');
      else await templateFor(request, work);
    },
  );
  return image;
}

/** What the template of a base is made from that `nixproof setup` freezes. */
export async function templateRequest(
  layout: Layout,
  base: BaseImage,
  shape: MachineShape,
  installation: Installation,
): Promise<TemplateRequest> {
  // A host without OVMF can still freeze a BIOS template.
  const possible = possibleShape(installation.uefi ? shape : { ...shape, firmware: 'bios' }, installation);
  const folder = templatesFolder(layout, base);
  return { base, shape: possible, installation, login: await benchKey(layout), folder };
}
