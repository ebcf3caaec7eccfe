/** What one line (or Nix log message) of an installer's stream means. Texts are as the guest sent them: hostile. */
export type EventBody =
  | { readonly type: 'phase'; readonly name: string }
  | { readonly type: 'success' | 'warning' | 'error' | 'context'; readonly message: string }
  | { readonly type: 'progress'; readonly stage: string; readonly details: string; readonly fraction?: number }
  | { readonly type: 'metric'; readonly name: string; readonly value: number }
  | { readonly type: 'build'; readonly derivation: string; readonly status: 'started' | 'finished' }
  | {
      readonly type: 'line';
      readonly text: string;
      /** Length of the whole line in bytes where `text` holds only its beginning. */
      readonly truncatedBytes?: number;
      /** Where Nix's JSON log said so: 0 error, 1 warning, 3 info … (nix/src/libutil/error.hh, Verbosity). */
      readonly level?: number;
    };

/** One parsed thing in the installer's stream. */
export type StreamEvent = EventBody & {
  /** Byte offset of the line's first byte in the installer's log: the event's identity. */
  readonly offset: number;
};

/** An event as it stands in `events.ndjson`: `at` is when the bench read it, milliseconds since the epoch. */
export type RecordedEvent = StreamEvent & { readonly at: number };
