import { setTimeout as sleep } from "node:timers/promises";
import { ToolFailure } from "../../shared/failure.ts";
import { Records } from "../../shared/records.ts";
import type { Lease } from "../../shared/redis/session-scripts.ts";
import type { SessionRecord } from "../../shared/session-record.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { SessionWorkspace } from "../session/session-workspace.ts";
import { type CheckpointsDeps, type Durability, SessionCheckpoints } from "./session-checkpoints.ts";
import { StoredQuota } from "./stored-quota.ts";
import { Turnstile } from "./turnstile.ts";

/** Restores, and checkpoints that nobody waits for: each keeps a core and the store busy. */
const AT_ONCE = 4;
/** How long a session that is to come back waits for a store that is away. */
const STORE_WAIT_MS = 30_000;
const RETRY_MS = 1_000;

/** What this worker does so that its sessions outlive it. */
export class Recovery {
  readonly #records: Records;
  readonly #quota: StoredQuota;
  readonly #restores = new Turnstile(AT_ONCE);
  readonly #quiet = new Turnstile(AT_ONCE);

  constructor(
    private readonly deps: Omit<CheckpointsDeps, "turnstile" | "quota">,
    private readonly options: { durability: Durability; quietMs: number; storeWaitMs?: number },
  ) {
    this.#records = new Records(deps.redis);
    this.#quota = new StoredQuota(deps);
  }

  checkpointsOf(record: SessionRecord, lease: Lease, workspace: SessionWorkspace): SessionCheckpoints {
    const { id, principal, mutations, checkpoint, isDirty } = record;
    const { durability, quietMs } = this.options;
    const facts = { id, lease, principal, mutations, checkpoint, isDirty, quietMs };
    const own = (record.durability || durability) as Durability;
    return new SessionCheckpoints(
      { ...this.deps, quota: this.#quota, turnstile: this.#quiet },
      { ...facts, durability: own },
      workspace,
    );
  }

  /** Sessions come back now: what can wait leaves them the cores. */
  get isRestoring(): boolean {
    return this.#restores.isInUse;
  }

  /** Makes a container for the session; some at a time where files are to come back into it. */
  async inTurn<T>({ checkpoint }: SessionRecord, make: () => Promise<T>): Promise<T> {
    return checkpoint ? await this.#restores.pass(make) : await make();
  }

  /**
   * Brings the session's files back into a fresh container, if it has a checkpoint.
   * @throws {ToolFailure} STORE_UNAVAILABLE
   */
  async fill(sandbox: Sandbox, record: SessionRecord, checkpoints: SessionCheckpoints): Promise<void> {
    if (!record.checkpoint) return;
    const until = performance.now() + (this.options.storeWaitMs ?? STORE_WAIT_MS);
    for (;;) {
      try {
        const newest = await this.#records.newestCheckpoint(record);
        if (!newest) throw new ToolFailure("STORE_UNAVAILABLE", `The record of ${record.checkpoint} is gone`);
        await checkpoints.fill(sandbox, newest);
        sandbox.markWorkspace(true); // what the session changes is told from here on
        return;
      } catch (error) {
        const mayPass = error instanceof ToolFailure && error.code === "STORE_UNAVAILABLE" && error.cause !== undefined;
        if (!mayPass || performance.now() > until) throw error;
        this.deps.log.warn({ err: error, session: record.id }, "a session waits for the checkpoint store");
        await sleep(RETRY_MS);
      }
    }
  }
}
