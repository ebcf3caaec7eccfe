import { Transform } from 'node:stream';
import type { Redactor } from './redactor.js';

/** Bytes on their way to a file, without the secrets in them. */
export function redacting(redactor: Redactor): Transform {
  const stream = redactor.stream();
  return new Transform({
    transform: (chunk: Buffer, _, done) => done(null, stream.push(chunk)),
    flush: (done) => done(null, stream.release()),
  });
}
