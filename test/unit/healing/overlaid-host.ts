import { execa } from 'execa';
import { ownMounts, type OwnMounts } from '../../e2e/own-mounts.js';

/** This host's files under an overlay: what is written is seen inside only, one folder apart. */
export interface OverlaidHost extends AsyncDisposable {
  /** The command that runs another one inside, at the root. */
  readonly inside: readonly string[];
  /** Every path outside the folder that was written, removed or made so far. */
  changed(): Promise<readonly string[]>;
}

const OVERLAY = '/mnt';

/** @param kept the folder that is the host's own inside, too; it must be there */
export async function overlaidHost(kept: string): Promise<OverlaidHost> {
  const mounts: OwnMounts = await ownMounts();
  const sh = (script: string) => execa(mounts.inside[0] ?? '', [...mounts.inside.slice(1), 'sh', '-ec', script]);
  await mounts.mountSmall(OVERLAY, 64);
  await sh(`mkdir ${OVERLAY}/upper ${OVERLAY}/work ${OVERLAY}/all
mount -t overlay -o lowerdir=/,upperdir=${OVERLAY}/upper,workdir=${OVERLAY}/work none ${OVERLAY}/all
mount --rbind /dev ${OVERLAY}/all/dev
mount --rbind /proc ${OVERLAY}/all/proc
mount --bind '${kept}' '${OVERLAY}/all${kept}'`);
  return {
    inside: [...mounts.inside, 'chroot', `${OVERLAY}/all`],
    changed: async () =>
      (await sh(`cd ${OVERLAY}/upper && find . -mindepth 1 ! -type d`)).stdout.split('\n').filter(Boolean),
    [Symbol.asyncDispose]: () => mounts[Symbol.asyncDispose](),
  };
}
