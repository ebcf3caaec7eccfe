/**
 * A program of its own: has Temporal's SDK download the `temporal` executable that fits it into the folder named by its one
 * argument. The SDK has no call that only downloads, so the server it starts is stopped at once. Its own process, because
 * the download is native code that cannot be interrupted; ending the process does.
 * (Behaviour: @temporalio/core-bridge, sdk-core/crates/sdk-core/src/ephemeral_server/mod.rs.)
 */
import { TestWorkflowEnvironment } from '@temporalio/testing';

const [downloadDir] = process.argv.slice(2);
if (downloadDir === undefined) throw new Error('usage: sdk-download FOLDER');

const environment = await TestWorkflowEnvironment.createLocal({
  server: { executable: { type: 'cached-download', downloadDir } },
});
await environment.teardown();
