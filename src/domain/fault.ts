/** Everything that can be injected into a run on purpose. */
export const FAULT_NAMES = [
  'dns-broken',
  'network-down',
  'cache-unreachable',
  'cache-corrupt',
  'slow-network',
  'disk-renamed',
  'disk-full',
  'tmp-full',
  'memory-hog',
  'clock-wrong',
  'installer-killed',
  'machine-crash',
  'worker-crash',
] as const;

export type FaultName = (typeof FAULT_NAMES)[number];

/** A fault that a run is asked to suffer: `dns-broken`, `tmp-full@NIX_BUILD`. */
export interface FaultRequest {
  readonly name: FaultName;
  /** The phase at whose beginning it is injected; absent: as early as it can be. */
  readonly phase?: string;
}

/** A fault that was injected. */
export interface InjectedFault {
  readonly name: FaultName;
  /** The installer's phase at whose beginning it was; empty: before the installer started. */
  readonly phase: string;
  /** ISO 8601. */
  readonly at: string;
  /** What the machine itself showed of it; empty where it showed nothing. Guest text: hostile. */
  readonly seen: string;
}

/** What became of a fault that was asked for. */
export type FaultResult = InjectedFault & {
  /** As it was asked for. */
  readonly request: string;
  /** Why it could not be injected; absent where it was. May quote the guest: hostile. */
  readonly refused?: string;
};

/** A fault as it is written. */
export function faultText({ name, phase }: FaultRequest): string {
  return phase === undefined || phase === '' ? name : `${name}@${phase}`;
}
