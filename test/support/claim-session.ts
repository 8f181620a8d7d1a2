import type { Redis } from "ioredis";
import { newCallId, newSessionId, type SessionId } from "../../shared/ids.ts";
import { type Lease, SessionScripts } from "../../shared/redis/session-scripts.ts";
import { SessionWorkspace } from "../../worker/session/session-workspace.ts";
import { silentLog } from "./silent-log.ts";
import { uncounted } from "./uncounted.ts";

export interface ClaimedSession {
  sid: SessionId;
  lease: Lease;
  scripts: SessionScripts;
  /** Without a container yet. */
  workspace: SessionWorkspace;
}

/** A session of ann's in the records, with what `settings` say besides, that worker `w_one` has claimed. */
export const claimSession = async (
  redis: Redis,
  settings: Record<string, string | number> = {},
  sid = newSessionId(),
): Promise<ClaimedSession> => {
  const scripts = new SessionScripts(redis);
  const create = { callId: newCallId(sid), args: "{}", waitMs: 60_000, key: "", argsHash: "h" };
  const usual = { principal: "ann", memory_mb: 512, cpus: 1, idle_ms: 60_000, env: "{}" };
  await scripts.open(sid, create, { ...usual, ...settings });
  const lease = { worker: "w_one", epoch: await scripts.claim(sid, "w_one") };
  const deps = { scripts, metrics: uncounted, log: silentLog, onDied: () => {} };
  return { sid, lease, scripts, workspace: new SessionWorkspace(deps, sid, lease) };
};
