import type { z } from 'zod';
import { NixproofError } from '../domain/error.js';
import { formatPath, validate, type Problem } from './validate.js';
import { readYaml, type Position } from './yaml-document.js';

/**
 * What a YAML (or JSON) file says, held against its schema.
 * @param name of the file, for messages
 * @param what it is to hold, for the message that it holds nothing
 * @throws NixproofError `CONFIG_INVALID` with every problem, `file:line:column: path: what`, in `details.problems`
 */
export function parseYaml<S extends z.ZodType>(schema: S, text: string, name: string, what: string): z.output<S> {
  const at = ({ line, column }: Position) => `${name}:${line}:${column}`;
  const yaml = readYaml(text, what);
  if (!yaml.ok) throw invalid(yaml.problems.map(({ position, message }) => `${at(position)}: ${message}`));
  const validation = validate(schema, yaml.value);
  if (validation.valid) return validation.value;
  const placed = validation.problems.map((problem) => ({ problem, position: yaml.positionOf(problem) }));
  placed.sort((a, b) => a.position.line - b.position.line || a.position.column - b.position.column);
  throw invalid(placed.map(({ problem, position }) => `${at(position)}: ${sentence(problem)}`));
}

export function sentence({ path, message }: Problem): string {
  return path.length === 0 ? message : `${formatPath(path)}: ${message}`;
}

/** @param problems at least one */
export function invalid(problems: readonly string[], cause?: unknown): NixproofError {
  const more = problems.length - 1;
  const rest = more === 0 ? '' : ` (and ${more} more ${more === 1 ? 'problem' : 'problems'})`;
  return new NixproofError('CONFIG_INVALID', `${problems[0] ?? 'the configuration is wrong'}${rest}`, {
    hint: 'correct the configuration; an editor that is given its JSON Schema (nixproof/schema.json) explains every key',
    details: { problems },
    cause,
  });
}
