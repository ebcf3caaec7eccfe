import { readFileSync } from 'node:fs';
import { Ajv } from 'ajv';

type Schema = Readonly<Record<string, unknown>>;

/** The published schema, closed: what it does not know is a field that nobody told the readers of. */
const closed = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(closed);
  if (typeof schema !== 'object' || schema === null) return schema;
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  return 'properties' in schema ? { ...inner, additionalProperties: false } : inner;
};

const schema = closed(
  JSON.parse(readFileSync(new URL('../schema/report.schema.json', import.meta.url), 'utf8')),
) as Schema;
const ajv = new Ajv({ allErrors: true, strict: false });
const validate = ajv.compile(schema);

/** What keeps a value from being a suite's report as the published schema has it; empty where nothing does. */
export function reportProblems(report: unknown): readonly string[] {
  if (validate(report)) return [];
  return (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath} ${message ?? ''} ${JSON.stringify(params)}`,
  );
}
