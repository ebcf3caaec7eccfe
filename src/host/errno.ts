import { FULL_DISK_HINT, NixproofError, messageOf, type ErrorCode } from '../domain/error.js';

interface HostError {
  readonly errnos: readonly string[];
  readonly code: ErrorCode;
  readonly what: string;
  readonly hint: string;
}

/** What the kernel refuses for a reason that lies with the host, not with the caller (errno(3)). */
const HOST_ERRORS: readonly HostError[] = [
  { errnos: ['ENOSPC', 'EDQUOT'], code: 'HOST_DISK_FULL', what: "this host's disk is full", hint: FULL_DISK_HINT },
  {
    errnos: ['EACCES', 'EPERM'],
    code: 'HOST_PERMISSION',
    what: 'this user may not do that',
    hint: 'give the user who runs nixproof access to it, or set NIXPROOF_HOME and XDG_CACHE_HOME to folders of that user',
  },
  {
    errnos: ['EROFS'],
    code: 'HOST_READ_ONLY',
    what: 'the file system is read-only',
    hint: 'set NIXPROOF_HOME and XDG_CACHE_HOME to folders on a file system that can be written',
  },
  {
    errnos: ['EMFILE', 'ENFILE'],
    code: 'HOST_OPEN_FILES',
    what: 'too many files are open',
    hint: 'raise the limit (`ulimit -n 65536`; LimitNOFILE= in a systemd unit), or run fewer tests at once with --parallel',
  },
];

/**
 * What an error of the operating system means for the user; undefined for any other errno, and any
 * other error.
 */
export function hostErrorOf(error: unknown): NixproofError | undefined {
  const errno = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  const known = HOST_ERRORS.find(({ errnos }) => errno !== undefined && errnos.includes(errno));
  return (
    known && new NixproofError(known.code, `${known.what}: ${messageOf(error)}`, { hint: known.hint, cause: error })
  );
}

/** Any caught error with a code: its own, that of its errno, or `INTERNAL_UNEXPECTED`. */
export function codedErrorOf(error: unknown): NixproofError {
  if (error instanceof NixproofError) return error;
  return hostErrorOf(error) ?? new NixproofError('INTERNAL_UNEXPECTED', messageOf(error), { cause: error });
}
