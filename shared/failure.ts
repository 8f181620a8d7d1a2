/** Every way a tool can fail, and whether repeating the same call may help. A new code does not compile until that is decided. */
const RETRYABLE = {
  INVALID_ARGUMENT: false,
  SESSION_NOT_FOUND: false,
  SESSION_RESET: true,
  OUTCOME_UNKNOWN: false,
  NO_CAPACITY: true,
  QUEUE_FULL: true,
  QUOTA_EXCEEDED: true,
  IDEMPOTENCY_CONFLICT: false,
  TIMED_OUT: true,
  CANCELLED: true,
  PATH_OUTSIDE_WORKSPACE: false,
  NOT_FOUND: false,
  NOT_A_FILE: false,
  NOT_A_DIRECTORY: false,
  PERMISSION_DENIED: false,
  FILE_TOO_LARGE: false,
  STALE_FILE: false,
  EDIT_NO_MATCH: false,
  EDIT_NOT_UNIQUE: false,
  PATCH_REJECTED: false,
  OUT_OF_MEMORY: false,
  DISK_FULL: false,
  NETWORK_DISABLED: false,
  IMAGE_NOT_FOUND: false,
  SANDBOX_UNAVAILABLE: true,
  STORE_UNAVAILABLE: true,
  UNSUPPORTED: false,
  INTERNAL: false,
} as const satisfies Record<string, boolean>;

export type FailureCode = keyof typeof RETRYABLE;

/** A call that a worker ends with one of these did nothing, so that the same key may try again. Else: `OUTCOME_UNKNOWN`. */
export const CHANGED_NOTHING: ReadonlySet<FailureCode> = new Set<FailureCode>(["SANDBOX_UNAVAILABLE"]);

/** Codes from outside (the agent, a record) are strings until this says otherwise. */
export const isFailureCode = (code: string): code is FailureCode => Object.hasOwn(RETRYABLE, code);

/** What a caller is told of a failure; the shape that stands in call records and in `structuredContent`. */
export interface FailureRecord {
  code: FailureCode;
  message: string;
  retryable: boolean;
  /** What to do next, in one sentence. */
  hint?: string;
  /** When repeating it may help, where that is known. */
  retry_after_ms?: number;
}

/** A tool failed in a way its caller is told. Callers read `code`, never `message`; `hint` says the way out. */
export class ToolFailure extends Error {
  override readonly name = "ToolFailure";
  readonly hint: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(
    readonly code: FailureCode,
    message: string,
    options?: ErrorOptions & { hint?: string; retryAfterMs?: number },
  ) {
    super(message, options);
    this.hint = options?.hint;
    this.retryAfterMs = options?.retryAfterMs;
  }

  /** As it was recorded. */
  static of({ code, message, hint, retry_after_ms: retryAfterMs }: FailureRecord): ToolFailure {
    const options = { ...(hint ? { hint } : {}), ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
    return new ToolFailure(code, message, options);
  }

  get isRetryable(): boolean {
    return RETRYABLE[this.code];
  }

  toRecord(): FailureRecord {
    const { code, message, hint, retryAfterMs } = this;
    const when = retryAfterMs === undefined ? {} : { retry_after_ms: retryAfterMs };
    return { code, message, retryable: this.isRetryable, ...(hint ? { hint } : {}), ...when };
  }
}

/** Anything thrown, as what the caller may see: a `ToolFailure` as it is, everything else as INTERNAL without its text. */
export const toFailure = (error: unknown): ToolFailure =>
  error instanceof ToolFailure
    ? error
    : new ToolFailure("INTERNAL", "The call failed inside codegen-mcp; the server's log has the details", {
        cause: error,
      });
