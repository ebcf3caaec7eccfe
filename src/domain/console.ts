/** First bytes of a serial console's log, which are never dropped: how the machine booted. */
export const CONSOLE_HEAD_BYTES = 8 * 2 ** 20;
