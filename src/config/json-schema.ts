import { z } from 'zod';
import { configSchema } from './schema.js';

/** The configuration's JSON Schema (draft 7, which editors know best), of the file as it is written. */
export function configJsonSchema(): object {
  const { $schema, ...schema } = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7' });
  return { $schema, title: 'nixproof configuration', ...schema };
}
