export { host } from './host.js';
export { leftBehind } from './lost-host.js';
export { profileTest } from './profile-test.js';
export { scheduledSuite } from './scheduled-suite.js';
export { testSuite } from './test-suite.js';
