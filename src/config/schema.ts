import { z } from 'zod';
import { FAILURE_CLASSES } from '../domain/diagnosis.js';
import { HEAL_POLICIES } from '../domain/profile.js';
import { duration, fraction, profileName, section, text, treePath, wholeNumber } from './fields.js';
import { existingMachine, machineName } from './machine-schema.js';
import { expectedOneLike } from './messages.js';
import { profile } from './profile-schema.js';
import { secretName, secretSource } from './secrets-schema.js';
import { didYouMean, listed } from './suggest.js';

const commands = z.array(text('a shell command')).default([]);

/** One heal of a configuration, or of a file of its own. */
export const heal = section({
  name: text("the heal's name").describe('What the heal is called in reports.'),
  for: z
    .enum(FAILURE_CLASSES, {
      error: ({ input }) => expectedOneLike('a failure class such as network.http', input, FAILURE_CLASSES),
    })
    .describe('The failure class it is for.'),
  confidence: fraction().default(0.8).describe('How likely it helps, from 0 to 1, before there is any record of it.'),
  run: commands.describe('Shell commands on the failed machine.'),
  config: z
    .record(treePath, z.string())
    .default({})
    .describe('Files written into the deployed tree (path: content), kept as a patch.'),
  undo: commands.describe('Shell commands that take it back where it did not help.'),
  resume: z
    .enum(['phase', 'rerun'])
    .default('phase')
    .describe('Where the installer goes on: at the failed phase, or anew.'),
}).refine((one) => one.run.length > 0 || Object.keys(one.config).length > 0, {
  error: 'expected something to do: run or config',
});

const healing = section({
  policy: z
    .enum(HEAL_POLICIES)
    .default('auto')
    .describe(
      'auto: heal at or above the threshold; race: the best such heals at once, each on a copy of the machine (qemu); ask: a person approves; never: do not heal.',
    ),
  threshold: fraction().default(0.6).describe('The least confidence at which a heal is applied by itself.'),
  max: wholeNumber(0, 100).default(3).describe('How many heals a run may try.'),
  ask: duration
    .default('1h')
    .describe('How long a heal waits for a person under policy ask; then it counts as rejected.'),
  heals: z
    .array(heal)
    .superRefine((heals, context) => {
      heals.forEach(({ name }, index) => {
        if (heals.findIndex((other) => other.name === name) === index) return;
        context.addIssue({
          code: 'custom',
          path: [index, 'name'],
          message: `expected a name of its own, got ${JSON.stringify(name)} again`,
        });
      });
    })
    .default([])
    .describe('Heals of your own, beside the built-in ones.'),
  from: text('the path of a folder')
    .optional()
    .describe("A folder of more heals, one a YAML or JSON file, relative to the configuration's folder."),
});

/** The configuration file. */
export const configSchema = section({
  $schema: z.string().optional().describe('Where the JSON Schema is, for editors.'),
  profiles: z
    .record(profileName, profile)
    .refine((profiles) => Object.keys(profiles).length > 0, { error: 'expected at least one profile, got none' })
    .describe('What is tested, by name.'),
  machines: z
    .record(machineName, existingMachine)
    .default({})
    .describe('Machines that exist already, by name, for driver ssh.'),
  secrets: z
    .record(secretName, secretSource)
    .default({})
    .describe('Where secrets come from, by name. Their values are read where they are used and recorded nowhere.'),
  healing: healing.prefault({}).describe('What is done when an installer fails.'),
}).superRefine(({ profiles, machines, secrets }, context) => {
  for (const [profileName, { install, files }] of Object.entries(profiles)) {
    const used = [
      ...Object.entries(install.env).map(([name, value]) => ({
        path: ['install', 'env', name, 'secret'],
        secret: typeof value === 'string' ? undefined : value.secret,
      })),
      ...files.map(({ secret }, index) => ({ path: ['files', index, 'secret'], secret })),
    ];
    for (const { path, secret } of used) {
      if (secret === undefined || Object.hasOwn(secrets, secret)) continue;
      const names = Object.keys(secrets);
      const guess =
        didYouMean(secret, names) || (names.length === 0 ? '; there are none' : `, expected ${listed(names)}`);
      const message = `unknown secret ${JSON.stringify(secret)}${guess}`;
      context.addIssue({ code: 'custom', path: ['profiles', profileName, ...path], message });
    }
  }
  const known = Object.keys(machines);
  for (const [profileName, { machines: names = [] }] of Object.entries(profiles)) {
    names.forEach((name, index) => {
      if (known.includes(name)) return;
      const guess =
        didYouMean(name, known) || (known.length === 0 ? '; there are none' : `, expected ${listed(known)}`);
      const path = ['profiles', profileName, 'machines', index];
      context.addIssue({ code: 'custom', path, message: `unknown machine ${JSON.stringify(name)}${guess}` });
    });
  }
  const places = Object.values(machines).map(({ address, port }) => `${address.toLowerCase()}:${port}`);
  known.forEach((name, index) => {
    const first = places.indexOf(places[index] ?? '');
    if (first === index) return;
    const message = `expected an address and port of its own, got those of ${known[first] ?? ''}`;
    context.addIssue({ code: 'custom', path: ['machines', name, 'address'], message });
  });
});

/** A configuration as it is written: only `install` is required of a profile. */
export type ConfigInput = z.input<typeof configSchema>;

/** A validated configuration. */
export type Config = z.output<typeof configSchema>;
