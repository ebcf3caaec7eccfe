import type { Diagnosis } from '../../../src/domain/diagnosis.js';
import { createDiagnoser } from '../../../src/diagnosis/diagnose.js';
import type { Rule } from '../../../src/diagnosis/rules/rule.js';

/** What a text's lines are diagnosed as; offsets are line numbers here. */
export function diagnosesOf(text: string, phase = '', rules?: readonly Rule[]): readonly Diagnosis[] {
  const diagnoser = createDiagnoser(rules === undefined ? {} : { rules });
  if (phase !== '') diagnoser.enter(phase);
  text.split('\n').forEach((line, index) => {
    diagnoser.take(line, index, (offset) => offset);
  });
  return diagnoser.finish();
}

export function bestOf(text: string): string {
  return diagnosesOf(text)[0]?.class ?? 'none';
}
