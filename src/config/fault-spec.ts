import { FAULT_NAMES, type FaultName, type FaultRequest } from '../domain/fault.js';
import { didYouMean, listed } from './suggest.js';

/** A phase's name, as a marker has it: one line. */
const PHASE = /^[^\p{Cc}]{1,100}$/u;

export type FaultSpec =
  { readonly ok: true; readonly fault: FaultRequest } | { readonly ok: false; readonly problem: string };

/** Reads `FAULT` or `FAULT@PHASE`; what is wrong with it where it is neither. */
export function parseFault(text: string): FaultSpec {
  const at = text.indexOf('@');
  const name = at < 0 ? text : text.slice(0, at);
  if (!isFaultName(name)) {
    const guess = didYouMean(name, FAULT_NAMES) || `, expected ${listed(FAULT_NAMES)}`;
    return { ok: false, problem: `unknown fault ${JSON.stringify(name)}${guess}` };
  }
  if (at < 0) return { ok: true, fault: { name } };
  const phase = text.slice(at + 1);
  if (PHASE.test(phase)) return { ok: true, fault: { name, phase } };
  return { ok: false, problem: `expected a phase behind the @, as in ${name}@NIX_BUILD, got ${JSON.stringify(text)}` };
}

function isFaultName(name: string): name is FaultName {
  return (FAULT_NAMES as readonly string[]).includes(name);
}
