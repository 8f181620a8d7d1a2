import { ToolFailure } from "./failure.ts";

const outcomeOf = (failure: ToolFailure): string => JSON.stringify({ failure: failure.toRecord() });

/** How the calls of a lost session end: those that had started, and those that never did. */
export const LOST = {
  unknown: outcomeOf(
    new ToolFailure(
      "OUTCOME_UNKNOWN",
      "The call had started when its sandbox was lost; whether it took effect is unknown",
      {
        hint: "Look at what it should have changed before you repeat it.",
      },
    ),
  ),
  reset: outcomeOf(
    new ToolFailure(
      "SESSION_RESET",
      "The session's sandbox was lost before the call started; it can be repeated safely",
      {
        hint: "The next answer says what the workspace holds now.",
      },
    ),
  ),
} as const;

/** How the notice begins that the next answer holds once; the record knows how it ends. `why` completes "was replaced because". */
export const lostNotice = (why: string): string => `The session's sandbox was replaced because ${why}`;
