import type { FailureCode } from "../../shared/failure.ts";

/** `FailureCode`, and the two that only the worker sees. */
export type AgentFailureCode = FailureCode | "ALREADY_STARTED" | "STALE_EPOCH";

/** A request that the agent refuses or cannot fulfil; it travels as `Failure`. */
export class AgentFailure extends Error {
  override readonly name = "AgentFailure";

  constructor(
    readonly code: AgentFailureCode,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

const CODE_OF_ERRNO: Record<string, AgentFailureCode> = {
  ENOENT: "NOT_FOUND",
  ENOTDIR: "NOT_A_DIRECTORY",
  EISDIR: "NOT_A_FILE",
  EACCES: "PERMISSION_DENIED",
  EPERM: "PERMISSION_DENIED",
  EROFS: "PERMISSION_DENIED",
  ENOSPC: "DISK_FULL",
  EDQUOT: "DISK_FULL",
  EFBIG: "FILE_TOO_LARGE",
  ENAMETOOLONG: "INVALID_ARGUMENT",
  ELOOP: "INVALID_ARGUMENT",
  EINVAL: "INVALID_ARGUMENT",
  ENXIO: "NOT_A_FILE",
  E2BIG: "INVALID_ARGUMENT",
};

const ERRNO_OF_NUMBER: Record<number, string> = { 2: "ENOENT", 7: "E2BIG", 13: "EACCES", 20: "ENOTDIR" };

/** Says what a system call's failure means for the caller; `action` reads like `Cannot read "src/a.py"`. */
export const fromSystemError = (error: unknown, action: string): AgentFailure => {
  if (error instanceof AgentFailure) return error;
  const errno = (error as NodeJS.ErrnoException).code ?? "";
  const known = CODE_OF_ERRNO[errno];
  return new AgentFailure(known ?? "INTERNAL", `${action}: ${known ? EXPLANATION[known] : (error as Error).message}`, {
    cause: error,
  });
};

const EXPLANATION: Partial<Record<AgentFailureCode, string>> = {
  NOT_FOUND: "there is no such file or folder",
  NOT_A_DIRECTORY: "a part of the path is not a folder",
  NOT_A_FILE: "it is not a regular file",
  PERMISSION_DENIED: "the permissions do not allow it",
  DISK_FULL: "the session's disk is full; delete something first",
  FILE_TOO_LARGE: "the file would be too large",
  INVALID_ARGUMENT: "it is not valid, or too long",
};

/** Of an exec or chdir that the runner reports by number. */
export const fromErrno = (errno: number, action: string): AgentFailure =>
  errno === 11 || errno === 12
    ? new AgentFailure("QUOTA_EXCEEDED", `${action}: the session is at its limit of processes or memory`)
    : fromSystemError(Object.assign(new Error(`errno ${errno}`), { code: ERRNO_OF_NUMBER[errno] }), action);
