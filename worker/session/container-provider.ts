import { setTimeout as sleep } from "node:timers/promises";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { ToolFailure } from "../../shared/failure.ts";
import { type CallId, callIdOf, type ProcessId, processIdOf, type SessionId } from "../../shared/ids.ts";
import type { ProcessRecord } from "../../shared/process-record.ts";
import { Records } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { SessionScripts } from "../../shared/redis/session-scripts.ts";
import type { SessionRecord } from "../../shared/session-record.ts";
import type { Recovery } from "../checkpoint/recovery.ts";
import type { Beats } from "../lease/beats.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { SandboxKind } from "../sandbox/sandbox-host.ts";
import type { SandboxPool } from "../sandbox/sandbox-pool.ts";
import type { ContainerRemoval } from "./container-removal.ts";
import type { CpuAccounts } from "./cpu-accounts.ts";
import type { OwnedSession } from "./owned-session.ts";
import { fillWindows } from "./recorded-output.ts";
import type { SessionWorkspace } from "./session-workspace.ts";

/** How long a session waits for a Docker engine that went away. */
const ENGINE_WAIT_MS = 45_000;
const RETRY_MS = 500;
/** Containers that a session may lose while they are made ready. */
const ATTEMPTS = 3;

/** Gives sessions their containers: a fresh one with the checkpoint's files, or the one that an earlier worker left. */
export class ContainerProvider {
  readonly #records: Records;

  constructor(
    private readonly deps: {
      redis: Redis;
      scripts: SessionScripts;
      beats: Pick<Beats, "vouch">;
      pool: Pick<SandboxPool, "take">;
      recovery: Recovery;
      removal: ContainerRemoval;
      accounts: Pick<CpuAccounts, "open">;
      /** What sessions with egress get in their environment, under their own settings. */
      egressEnvironment: (principal: string) => Promise<Record<string, string>>;
      log: Logger;
    },
    private readonly options: {
      defaultImage: string;
      /** Of sessions that say nothing: `none` or `egress`. */
      network: string;
      diskMb: number;
      pids: number;
    },
  ) {
    this.#records = new Records(deps.redis);
  }

  /**
   * Makes a container ready and says so in the record.
   * @param isHeld false once the session goes on in another epoch
   * @throws {ToolFailure} when there is none to be had; nothing of it stays then
   */
  async provide(record: SessionRecord, session: OwnedSession, isHeld: () => boolean): Promise<void> {
    const { scripts, recovery, removal } = this.deps;
    const image = record.image || this.options.defaultImage;
    const kind = { image, hasEgress: (record.network || this.options.network) === "egress" };
    const sandbox = await recovery.inTurn(record, () => this.#make(record, session, kind, isHeld));
    try {
      const { workdir, containerId: container, agentBoot: agent_boot } = sandbox;
      const { diskMb: disk_mb, pids } = this.options;
      await scripts.ready(record.id, session.lease, { workdir, image, disk_mb, pids, container, agent_boot });
      if (!isHeld()) throw new Error("the session was lost while its container was made ready");
    } catch (error) {
      void removal.remove(sandbox);
      throw error;
    }
    this.deps.accounts.open(sandbox, record.principal);
    session.workspace.provide(sandbox);
  }

  /**
   * Goes on in the container that an earlier worker of this host left.
   * @param record as it is in the new epoch
   * @returns calls that left the lane under the earlier worker, and go on
   * @throws {Error} when its container or its agent does not answer
   */
  async resume(record: SessionRecord, { workspace, lease }: OwnedSession, sandbox: Sandbox): Promise<CallId[]> {
    const { id: sid, memoryMb, cpus, agentBoot, principal } = record;
    const { scripts, beats } = this.deps;
    const env = await this.#environment(record, sandbox.hasEgress);
    const detached = await this.#records.detachedCalls(sid);
    const running = await this.#records.openProcesses(sid);
    await this.#adoptProcesses(workspace, [...running, ...(await this.#endedProcesses(sid, detached))]);
    workspace.hold(sandbox);
    workspace.provide(sandbox);
    const processes = running.map(({ id, bytes }) => ({ processId: id, recordedBytes: bytes }));
    const epoch = BigInt(lease.epoch);
    const claim = { sessionId: sid, principal, epoch, env, memoryMb, cpus, vouch: beats.vouch, listener: workspace };
    const unknown = await sandbox.resume({ ...claim, agentBoot, processes });
    for (const id of unknown as ProcessId[])
      workspace.disown(id, (await this.#records.callState(sid, callIdOf(id))) === "running");
    this.deps.accounts.open(sandbox, record.principal);
    await scripts.ready(sid, lease, { agent_boot: sandbox.agentBoot });
    return detached;
  }

  /** A container that dies, or an agent that is killed, while files come back costs a container and not the session. */
  async #make(
    record: SessionRecord,
    session: OwnedSession,
    kind: SandboxKind,
    isHeld: () => boolean,
  ): Promise<Sandbox> {
    const { beats, recovery, removal, log } = this.deps;
    const { memoryMb, cpus, id: sessionId, principal } = record;
    const env = await this.#environment(record, kind.hasEgress);
    const claim = { sessionId, principal, epoch: BigInt(session.lease.epoch), memoryMb, cpus, env };
    for (let attempt = 1; ; attempt++) {
      const sandbox = await this.#take(kind, isHeld);
      session.workspace.hold(sandbox);
      try {
        await sandbox.claim({ ...claim, vouch: beats.vouch, listener: session.workspace });
        await recovery.fill(sandbox, record, session.checkpoints);
        return sandbox;
      } catch (error) {
        void removal.remove(sandbox);
        if (!isSandboxLost(error) || attempt === ATTEMPTS || !isHeld()) throw error;
        log.warn({ err: error, session: sessionId }, "a container was lost while it was made ready; another is made");
      }
    }
  }

  /** The session's own settings go over what this worker's egress needs. */
  async #environment({ env, principal }: SessionRecord, hasEgress: boolean): Promise<Record<string, string>> {
    return hasEgress ? { ...(await this.deps.egressEnvironment(principal)), ...env } : env;
  }

  /** Waits out an engine that is away: sessions that are to go on in a fresh container do not end for that. */
  async #take(kind: SandboxKind, isHeld: () => boolean): Promise<Sandbox> {
    const until = performance.now() + ENGINE_WAIT_MS;
    for (;;) {
      try {
        return await this.deps.pool.take(kind);
      } catch (error) {
        const isAway = error instanceof ToolFailure && error.code === "SANDBOX_UNAVAILABLE";
        if (!isAway || performance.now() > until || !isHeld()) throw error;
        await sleep(RETRY_MS, undefined, { ref: false });
      }
    }
  }

  /** Nothing that an earlier owner recorded of a process is asked of the agent again. */
  async #adoptProcesses(workspace: SessionWorkspace, processes: ProcessRecord[]): Promise<void> {
    for (const process of processes) {
      const lastId = await this.#records.lastOutputId(workspace.id, callIdOf(process.id));
      const fill = (windows: Parameters<typeof fillWindows>[3]): Promise<void> =>
        fillWindows(this.#records, workspace.id, process.id, windows);
      if (process.status === "running") workspace.adopt(process, lastId, fill);
      else workspace.adoptEnd(process, lastId, fill);
    }
  }

  /** Processes that ended while the calls that wait for them, in the lane or out of it, have not. */
  async #endedProcesses(sid: SessionId, detached: CallId[]): Promise<ProcessRecord[]> {
    const open = [...(await this.deps.redis.lrange(keys.lane(sid), 0, -1)), ...detached] as CallId[];
    const found = await Promise.all(open.map((callId) => this.#records.process(sid, processIdOf(callId))));
    return found.filter((process) => process !== undefined && process.status !== "running") as ProcessRecord[];
  }
}

/** The container or its agent went away: another one may do better. */
export const isSandboxLost = (error: unknown): boolean =>
  error instanceof ToolFailure && (error.code === "SANDBOX_UNAVAILABLE" || error.code === "OUTCOME_UNKNOWN");
