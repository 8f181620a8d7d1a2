import type { CallId, CheckpointId, SessionId } from "./ids.ts";
import type { Hash } from "./redis/hash.ts";

/**
 * `queued` for a worker, `starting` its container, `ready`, `leaving` (its owner hands it over or back; calls wait),
 * `closing` (takes no calls), `closed` (gone in a minute).
 */
export type SessionState = "queued" | "starting" | "ready" | "leaving" | "closing" | "closed";
export interface SessionRecord {
  id: SessionId;
  principal: string;
  state: SessionState;
  owner: string;
  epoch: number;
  /** `none` or `egress`; empty for its worker's own. */
  network: string;
  /** The image's name; empty while the session waits for a worker and named none. */
  image: string;
  workdir: string;
  memoryMb: number;
  cpus: number;
  diskMb: number;
  pids: number;
  env: Record<string, string>;
  idleMs: number;
  /** Docker's id of its container, and which start of the agent runs in it; empty while there is none. */
  container: string;
  agentBoot: string;
  createdAt: number;
  lastUsedAt: number;
  expiresAt: number;
  createCall: CallId;
  /** `call`, `idle` or `none`; empty for its worker's own. */
  durability: string;
  /** What it comes back from when it is lost; empty for nothing. */
  checkpoint: CheckpointId | "";
  /** Mutating calls that started so far. */
  mutations: number;
  /** Its container may hold what neither a checkpoint nor a loss accounts for. */
  isDirty: boolean;
  /** Numbers of mutating calls whose effects were lost or taken back, both ends included. */
  lost: [from: number, to: number][];
}

export const toSession = (id: SessionId, h: Hash): SessionRecord => ({
  id,
  principal: h.principal ?? "",
  state: h.state as SessionState,
  owner: h.owner ?? "",
  epoch: Number(h.epoch),
  network: h.network ?? "",
  image: h.image ?? "",
  workdir: h.workdir ?? "",
  memoryMb: Number(h.memory_mb),
  cpus: Number(h.cpus),
  diskMb: Number(h.disk_mb ?? 0),
  pids: Number(h.pids ?? 0),
  env: JSON.parse(h.env ?? "{}") as Record<string, string>,
  idleMs: Number(h.idle_ms),
  container: h.container ?? "",
  agentBoot: h.agent_boot ?? "",
  createdAt: Number(h.created_at),
  lastUsedAt: Number(h.last_used_at),
  expiresAt: Number(h.expires_at),
  createCall: h.create_call as CallId,
  durability: h.durability ?? "",
  checkpoint: (h.checkpoint ?? "") as CheckpointId | "",
  mutations: Number(h.mutations ?? 0),
  isDirty: Number(h.covered ?? 0) < Number(h.mutations ?? 0) || h.moving === "1",
  lost: (h.lost ?? "").split(" ").flatMap((range) => (range ? [range.split("-").map(Number) as [number, number]] : [])),
});
