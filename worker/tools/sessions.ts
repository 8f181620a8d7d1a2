import { ToolFailure } from "../../shared/failure.ts";
import type { Records } from "../../shared/records.ts";
import type { Executor } from "../session/owned-session.ts";
import type { SessionKeeper } from "../session/session-keeper.ts";

/** `create_session` runs at the head of the new session's lane: it is done when the container stands. */
export const createSession =
  (records: Records): Executor =>
  async (_args, { workspace }) => {
    await workspace.sandbox();
    const session = await records.session(workspace.id);
    if (!session) throw new ToolFailure("SESSION_NOT_FOUND", "The session was closed while it was made");
    const { workdir, image, memoryMb, cpus, diskMb, pids, expiresAt } = session;
    return {
      session_id: workspace.id,
      workdir,
      image,
      limits: { memory_mb: memoryMb, cpus, disk_mb: diskMb, pids },
      expires_at: new Date(expiresAt).toISOString(),
    };
  };

/** The answer is written by the release itself: after it there is nobody left to write one. */
export const closeSession =
  (keeper: SessionKeeper): Executor =>
  async (_args, { callId, workspace }) => {
    const result = { session_id: workspace.id, closed: true };
    await keeper.release(workspace.id, { asking: callId, answer: JSON.stringify({ result }) });
    return result;
  };
