import { filterArguments, GUEST_IO_SOCKETS } from '../../src/machines/hypervisor/guest-io/sockets.js';
import { nameSockets } from '../../src/machines/qemu/launch.js';

export const QEMU = 'qemu-system-x86_64';

/** Arguments of a QEMU without a guest: what it does itself is asked through its monitor. */
export function argumentsIn(place: string): readonly string[] {
  const hardware = ['-machine', 'q35', '-m', '16M', '-nodefaults', '-display', 'none'];
  const network = ['-netdev', 'user,id=net,hostfwd=tcp:127.0.0.1:0-:22'];
  const sockets = nameSockets(place);
  const serial = `socket,id=serial,path=${sockets}/${GUEST_IO_SOCKETS.serial},server=on,wait=off`;
  return [
    ...[...hardware, ...network, ...filterArguments('net', (name) => `${sockets}/${name}`)],
    ...['-chardev', serial, '-qmp', `unix:${sockets}/qmp,server=on,wait=off`],
  ];
}
