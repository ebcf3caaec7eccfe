import type { Notification, Receiver, ScheduledSuite } from '../../domain/schedule.js';
import type { SourceTree } from '../../domain/source.js';
import type { SuiteRequest } from '../../domain/suite.js';
import type { Layout } from '../../host/paths.js';
import type { Registry } from '../../machines/registry.js';
import { planFromSource } from '../../suites/from-source.js';
import { notifyReceiver } from './notify.js';
import { inActivity } from '../step/temporal.js';

/** What a schedule's firing needs beside the runs themselves. */
export function createSchedulingActivities({
  layout,
  machines,
}: {
  readonly layout: Layout;
  readonly machines: Registry;
}) {
  return {
    /** Pins the source as it stands now and plans its suite. Done again it fetches again, and nothing has begun. */
    planScheduled: (scheduled: ScheduledSuite): Promise<SuiteRequest & { readonly source: SourceTree }> =>
      inActivity((work) => planFromSource(scheduled, machines, { ...work, layout })),

    notify: (receiver: Receiver, notification: Notification): Promise<void> =>
      inActivity((work) => notifyReceiver(receiver, notification, work)),
  };
}
