/** Installed packages and their versions, from the text of dpkg's status file (deb-control paragraphs, blank lines between). */
export function packagesIn(status: string): Record<string, string> {
  const packages: Record<string, string> = {};
  for (const paragraph of status.split(/\n{2,}/)) {
    const name = /^Package: (.+)$/m.exec(paragraph)?.[1];
    const version = /^Version: (.+)$/m.exec(paragraph)?.[1];
    if (name !== undefined && version !== undefined && /^Status: install ok installed$/m.test(paragraph))
      packages[name] = version;
  }
  return packages;
}
