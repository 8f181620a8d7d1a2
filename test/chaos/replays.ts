import { failureOf } from "../support/tool-client.ts";
import type { Effect } from "./ledger.ts";
import type { ScriptedSession } from "./scripted-session.ts";

/** Acknowledged calls of a session that are asked for again; those whose outcome is unknown are, all of them. */
const SAMPLE = 4;

export interface ReplayFindings {
  /** Another result for a key than the first. */
  delivered: string[];
  /** An end that was told as unknown and became something else. */
  late: string[];
}

/** Repeats calls with their keys after the work: what was told must still be what is told. */
export const replay = async (session: ScriptedSession): Promise<ReplayFindings> => {
  const { ledger, agent } = session;
  const findings: ReplayFindings = { delivered: [], late: [] };
  const again = async ({ tool, args }: Effect) => await agent.call(tool, args);
  const step = Math.max(1, Math.ceil(ledger.acknowledged.length / SAMPLE));
  for (const effect of ledger.acknowledged.filter((_, i) => i % step === 0)) {
    const answer = await again(effect);
    if (answer.isError || answer.structured.process_id !== effect.processId) {
      findings.delivered.push(`${effect.key}: first ${effect.processId}, then ${JSON.stringify(answer.structured)}`);
    }
  }
  for (const effect of ledger.unknown) {
    const answer = await again(effect);
    if (failureOf(answer) !== "OUTCOME_UNKNOWN") {
      findings.late.push(`${effect.key}: first OUTCOME_UNKNOWN, then ${JSON.stringify(answer.structured)}`);
    }
  }
  return findings;
};
