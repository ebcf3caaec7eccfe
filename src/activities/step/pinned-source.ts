import type { RunRequest } from '../../domain/run.js';
import type { Work } from '../../domain/work.js';
import type { Layout } from '../../host/paths.js';
import { bringSource, treeOf } from '../../suites/source.js';

/** Makes sure that the source a run was planned from lies on this host. @throws NixproofError `TRANSPORT_SOURCE`, `HOST_SOURCE_MISSING` */
export async function requireSource({ source }: RunRequest, layout: Layout, work: Work): Promise<void> {
  if (source !== undefined) await bringSource(source, layout, work);
}

/** The request with paths in the pinned source as they are on this host: its home may be another one than the planner's. */
export function withSourceHere(request: RunRequest, layout: Layout): RunRequest {
  const { source } = request;
  if (source === undefined) return request;
  const here = treeOf(layout, source.commit);
  if (here === source.tree) return request;
  const moved: unknown = JSON.parse(JSON.stringify(request), (_, value: unknown) =>
    typeof value === 'string' && (value === source.tree || value.startsWith(`${source.tree}/`))
      ? `${here}${value.slice(source.tree.length)}`
      : value,
  );
  return moved as RunRequest;
}
