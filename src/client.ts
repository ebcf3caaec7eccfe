/**
 * How everything that is no worker speaks to a Temporal server: the connection, and what is started,
 * asked and told there of suites and runs.
 */
export * from './temporal/connection.js';
export * from './temporal/runs.js';
