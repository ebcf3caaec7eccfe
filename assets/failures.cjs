// Puts the messages and stacks of failures into payloads, where the codec seals them. The Temporal
// SDK loads it by its path, and the workflows have it in their bundle.
const { DefaultFailureConverter } = require('@temporalio/common');

exports.failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
