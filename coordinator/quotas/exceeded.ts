import { ToolFailure } from "../../shared/failure.ts";
import type { Quota } from "./quota-file.ts";

export type Limit = "open" | "rate" | "cpu" | "sessions" | "stored";

const CLOSE = "close_session those that you no longer need (list_sessions shows them)";

const WHY: Record<Limit, (quota: Quota) => [message: string, hint: string]> = {
  open: ({ open_calls: most }) => [
    `${most} of your calls wait or run already`,
    "Wait for one to end, or kill_process it",
  ],
  rate: ({ calls_per_minute: most }) => [`You may make ${most} calls a minute`, "Make fewer, larger ones"],
  cpu: ({ cpu_seconds_per_hour: most }) => [
    `Your sessions have used ${most} cpu-seconds in this hour`,
    "Kill what runs and is not needed (list_processes shows it)",
  ],
  sessions: ({ sessions: most }) => [`You may have ${most} sessions at a time`, CLOSE],
  stored: ({ stored_bytes: most }) => [
    `Your checkpoints take ${most} bytes or more, which is all that you may store`,
    "delete_checkpoint those that you no longer need (list_checkpoints shows them)",
  ],
};

/** How long to wait where nothing but the principal itself makes room. */
const OWN_DOING_MS = 5_000;

/** The answer to a principal that is at one of its limits: what it is, and when to try again. */
export const exceeded = (limit: Limit, quota: Quota, retryAfterMs = OWN_DOING_MS): ToolFailure => {
  const [message, way] = WHY[limit](quota);
  const seconds = Math.ceil(retryAfterMs / 1_000);
  const hint = `${way}; the call has not started, and may be repeated in ${seconds} s.`;
  return new ToolFailure("QUOTA_EXCEEDED", message, { hint, retryAfterMs });
};
