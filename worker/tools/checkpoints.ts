import { type CheckpointRecord, noCheckpoint } from "../../shared/checkpoint-record.ts";
import { ToolFailure } from "../../shared/failure.ts";
import { isCheckpointId } from "../../shared/ids.ts";
import type { Records } from "../../shared/records.ts";
import type { Executor } from "../session/owned-session.ts";

/** Checkpoints with a name that one principal may keep. */
const MAX_KEPT = 100;

const describe = ({ id, name, files, bytes, createdAt }: CheckpointRecord): Record<string, unknown> => ({
  checkpoint_id: id,
  name,
  files,
  size_bytes: bytes,
  created_at: new Date(createdAt).toISOString(),
});

export const createCheckpoint =
  (records: Records): Executor =>
  async (args, { callId, workspace, checkpoints }) => {
    const session = await records.session(workspace.id);
    const kept = (await records.checkpointsOf(session?.principal ?? "")).filter(({ name }) => name !== "");
    if (kept.length >= MAX_KEPT) {
      throw new ToolFailure("QUOTA_EXCEEDED", `You keep ${kept.length} checkpoints already`, {
        hint: "delete_checkpoint those that you no longer need, then try again.",
      });
    }
    const name = (args.name as string | undefined) ?? `checkpoint ${kept.length + 1}`;
    return describe(await checkpoints.take(name, callId));
  };

export const restoreCheckpoint =
  (records: Records): Executor =>
  async (args, { callId, workspace, checkpoints }) => {
    const id = String(args.checkpoint_id);
    const [session, found] = await Promise.all([
      records.session(workspace.id),
      isCheckpointId(id) ? records.checkpoint(id) : undefined,
    ]);
    if (!session || found?.principal !== session.principal) throw noCheckpoint(id);
    const ended = await workspace.endAll();
    await checkpoints.restore(found, callId);
    return { ...describe(found), processes_ended: ended };
  };

/** The worker's part: the coordinator makes the sessions. */
export const forkSession: Executor = async (_args, { callId, checkpoints }) => {
  const { id } = await checkpoints.take("", callId);
  return { checkpoint_id: id };
};
