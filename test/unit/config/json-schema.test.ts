import { expect, test } from 'vitest';
import { configJsonSchema } from '../../../src/config/json-schema.js';

interface Schema {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
}

/** Every mapping in a schema with the path to it. */
function sections(schema: Schema, path: string): (readonly [string, Schema])[] {
  const inner = Object.entries(schema.properties ?? {}).flatMap(([key, value]) => sections(value, `${path}.${key}`));
  const every =
    typeof schema.additionalProperties === 'object' ? sections(schema.additionalProperties, `${path}.*`) : [];
  const items = schema.items ? sections(schema.items, `${path}[]`) : [];
  const either = [...(schema.oneOf ?? []), ...(schema.anyOf ?? [])].flatMap((one, index) =>
    sections(one, `${path}|${index}`),
  );
  return [...(schema.properties ? [[path, schema] as const] : []), ...inner, ...every, ...items, ...either];
}

test('every mapping is closed and every key of it explained', () => {
  const found = sections(configJsonSchema(), '');
  expect(found.map(([path]) => path)).toEqual([
    '',
    '.profiles.*',
    '.profiles.*.machine',
    '.profiles.*.network|1',
    '.profiles.*.deploy',
    '.profiles.*.install|0',
    '.profiles.*.install|0.env.*|1',
    '.profiles.*.install|1',
    '.profiles.*.install|1.env.*|1',
    '.profiles.*.install|2',
    '.profiles.*.install|2.env.*|1',
    '.profiles.*.install|3',
    '.profiles.*.install|3.env.*|1',
    '.profiles.*.files[]',
    '.profiles.*.checks[]|0',
    '.profiles.*.checks[]|1',
    '.profiles.*.checks[]|2',
    '.profiles.*.checks[]|3',
    '.profiles.*.timeouts',
    '.machines.*',
    '.secrets.*',
    '.healing',
    '.healing.heals[]',
  ]);
  for (const [path, schema] of found) {
    expect([path, schema.additionalProperties]).toEqual([path, false]);
    for (const [key, value] of Object.entries(schema.properties ?? {})) {
      expect(value.description, `${path}.${key}`).toMatch(/\S\.$/);
    }
  }
});

test('its head says what it is, and only install is required of a profile', () => {
  const schema = configJsonSchema() as { properties: { profiles: { additionalProperties: { required: string[] } } } };
  expect(schema).toMatchObject({
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'nixproof configuration',
    required: ['profiles'],
  });
  expect(schema.properties.profiles.additionalProperties.required).toEqual(['install']);
});
