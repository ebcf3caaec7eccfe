import path from 'node:path';
import { fromHomeFolder } from '../host/paths.js';

/** A path as it is written in a configuration made absolute: from its folder, or from the home folder where it begins with `~/`. */
export function absolutePath(folder: string, written: string): string {
  return path.resolve(folder, fromHomeFolder(written));
}

/** A file's name for messages: relative to the working folder where it lies in it. */
export function shownPath(file: string, cwd: string): string {
  const relative = path.relative(cwd, file);
  return relative === '' || relative.startsWith('..') || path.isAbsolute(relative) ? file : relative;
}

/** A folder and all those above it, nearest first. */
export function upwards(folder: string): readonly string[] {
  const here = path.resolve(folder);
  const above = path.dirname(here);
  return above === here ? [here] : [here, ...upwards(above)];
}
