import { NixproofError } from '../domain/error.js';
import type { DriverName } from '../domain/profile.js';
import type { Layout } from '../host/paths.js';
import type { Driver, Machine, MachineInfo, MachineStatus, Work } from './machine.js';
import { createLibvirtDriver } from './libvirt/driver.js';
import { createQemuDriver } from './qemu/driver.js';
import { readRecord } from './record.js';
import { createSandboxDriver } from './sandbox/driver.js';
import { createSshDriver } from './ssh/driver.js';

/** The drivers of this host. */
export interface Registry {
  /** @throws NixproofError `UNSUPPORTED_DRIVER` */
  driver(name: DriverName): Driver;
  /** Every machine of this host, whatever drives it. */
  list(): Promise<readonly MachineStatus[]>;
  /** A machine by its id alone. @throws NixproofError `MACHINE_GONE` */
  attach(id: string, work: Work): Promise<Machine>;
  /** Removes a machine by its id alone; does nothing where there is none. */
  destroy(id: string, work: Work): Promise<void>;
}

export function createRegistry(layout: Layout): Registry {
  // A half-made machine is removed by each in turn: libvirt's first, while its folder still says where its domain is.
  const all = [
    createLibvirtDriver({ layout }),
    createQemuDriver({ layout }),
    createSshDriver({ layout }),
    createSandboxDriver({ layout }),
  ];
  const drivers = new Map<DriverName, Driver>(all.map((driver) => [driver.name, driver]));
  const registry: Registry = {
    driver(name) {
      const driver = drivers.get(name);
      if (driver) return driver;
      throw new NixproofError('UNSUPPORTED_DRIVER', `there is no driver ${name}`, {
        hint: `use one of ${[...drivers.keys()].join(', ')}`,
      });
    },
    async list() {
      return (await Promise.all([...drivers.values()].map((driver) => driver.list()))).flat();
    },
    async attach(id, work) {
      const info = await readRecord<MachineInfo>(layout, id);
      if (!info)
        throw new NixproofError('MACHINE_GONE', `there is no machine ${id} on this host`, {
          hint: 'see `nixproof vm list`',
        });
      return registry.driver(info.driver).attach(id, work);
    },
    async destroy(id, work) {
      const info = await readRecord<MachineInfo>(layout, id);
      if (info) return registry.driver(info.driver).destroy(id, work);
      // Half-made: no record says whose it is, and every driver's destroy is harmless for another's.
      for (const driver of drivers.values()) await driver.destroy(id, work);
    },
  };
  return registry;
}
