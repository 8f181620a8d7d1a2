/** One tool call that is over. Never an argument, a path, an output or a secret: hashes, names of a closed set, numbers. */
export interface AuditEntry {
  /** The call's id; one of its own for a request that made no call. */
  id: string;
  principal: string;
  /** Empty where none was made or found. */
  session: string;
  tool: string;
  /** SHA-256 of the tool and its arguments, base64url. */
  argumentsHash: string;
  /** As of calls: `done`, `failed`, `cancelled`, `outcome_unknown`, `session_reset`. */
  state: string;
  /** `OK`, or the code of its failure. */
  outcome: string;
  exitCode: number | null;
  /** Of its process. */
  outputBytes: number;
  /** The incarnation that owned the session at the end; empty for what coordinators answer. */
  worker: string;
  /** ms since 1970. */
  submittedAt: number;
  startedAt: number | null;
  endedAt: number;
}
