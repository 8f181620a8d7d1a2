import { readdir, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { PeriodicService } from "../../shared/periodic-service.ts";
import type { StoreIdentity } from "../../shared/redis/store-identity.ts";
import { AGENT_VOLUME_PREFIX } from "../sandbox/agent-volume.ts";
import { LABELS } from "../sandbox/container-spec.ts";
import type { Engine, Labelled } from "../sandbox/engine.ts";
import { RUN_FOLDER_SIGN, type SandboxHost } from "../sandbox/sandbox-host.ts";
import { OrphanJudge, type Suspect, type Workers } from "./orphan-judge.ts";

export interface SweeperOptions {
  deployment: string;
  worker: string;
  /** Holds a folder per worker. */
  runFolders: string;
  everyMs: number;
  /** What no live worker and no record claims is removed when it is older. */
  orphanAgeMs: number;
}

/**
 * Removes what crashed workers left on this engine and host. Fails closed: without Redis, or with one that is empty or
 * not this deployment's, nothing is removed.
 */
export class OrphanSweeper extends PeriodicService {
  readonly #judge: OrphanJudge;
  #isRefused = false;

  constructor(
    private readonly deps: {
      redis: Redis;
      store: StoreIdentity;
      engine: Engine;
      host: SandboxHost;
      /** Sessions come back and need the cores: sweeping can wait. */
      isBusy: () => boolean;
      log: Logger;
    },
    private readonly options: SweeperOptions,
  ) {
    super("orphan sweeper", options.everyMs, deps.log);
    this.#judge = new OrphanJudge(deps.redis, options);
  }

  protected override async pass(): Promise<void> {
    const { redis, engine, host, isBusy } = this.deps;
    const { present } = host;
    if (isBusy() || !present || redis.status !== "ready" || !(await this.#isRedisOurs())) return;
    const labels = { [LABELS.deployment]: this.options.deployment, [LABELS.store]: this.deps.store.id };
    const containers = await engine.containers(labels);
    const [networks, volumes, folders] = await Promise.all([
      engine.networks(labels),
      engine.volumes(labels),
      this.#runFolders(containers),
    ]);
    const workers = await this.#judge.workers(); // after the lists: what a new worker made is not in them
    await this.#sweepContainers(containers, workers);
    const foreign = networks.filter(({ labels }) => labels[LABELS.worker] !== this.options.worker);
    await this.#sweep("network", foreign.map(toSuspect), workers, ({ id }) => engine.removeNetwork(id));
    const old = volumes.filter(({ name }) => name.startsWith(AGENT_VOLUME_PREFIX) && name !== present.agentVolume);
    await this.#sweep("volume", old.map(toSuspect), workers, ({ name }) => engine.removeVolume(name));
    await this.#sweep("folder", folders, workers, ({ id }) => rm(id, { recursive: true, force: true }));
  }

  async #isRedisOurs(): Promise<boolean> {
    const isOurs = await this.deps.store.isConfirmed();
    if (!isOurs && !this.#isRefused) {
      this.log.error("Redis lost its records or is another deployment's: nothing is swept on its word");
    }
    this.#isRefused = !isOurs;
    return isOurs;
  }

  async #sweepContainers(containers: Labelled[], workers: Workers): Promise<void> {
    const { engine, host } = this.deps;
    const foreign = containers.filter(({ id }) => !host.holds(id));
    const slots = new Map(foreign.map(({ id, labels }) => [id, labels[LABELS.slot] ?? ""]));
    await this.#sweep("container", foreign.map(toSuspect), workers, async ({ id, worker }) => {
      if (host.holds(id)) return; // taken in while we asked
      await engine.remove(id);
      const slot = slots.get(id);
      if (slot) await rm(join(this.options.runFolders, worker, slot), { recursive: true, force: true });
    });
  }

  async #sweep<T extends Suspect>(
    kind: string,
    suspects: T[],
    workers: Workers,
    /** Resolves with false for what something still uses: it goes later. */
    remove: (orphan: T) => Promise<unknown>,
  ): Promise<void> {
    for (const orphan of await this.#judge.twiceFound(suspects, workers)) {
      try {
        if ((await remove(orphan)) === false) continue;
        this.log.info({ kind, name: orphan.name, of: orphan.worker }, "an orphan was removed");
      } catch (err) {
        this.log.warn({ err, kind, name: orphan.name }, "an orphan was not removed; it is tried again");
      }
    }
  }

  /** Folders of other workers of this store whose containers are all gone. */
  async #runFolders(containers: Labelled[]): Promise<Suspect[]> {
    const { runFolders, worker: own } = this.options;
    const used = new Set(containers.map(({ labels }) => labels[LABELS.worker]));
    const names = (await readdir(runFolders).catch(() => [])).filter((name) => name !== own && !used.has(name));
    const found = await Promise.all(
      names.map(async (worker): Promise<Suspect | undefined> => {
        const id = join(runFolders, worker);
        const sign = await readFile(join(id, RUN_FOLDER_SIGN), "utf8").catch(() => "");
        if (sign !== this.deps.store.id) return undefined;
        const { mtimeMs: createdAt } = await stat(id);
        return { id, name: id, worker, createdAt };
      }),
    );
    return found.filter((folder) => folder !== undefined);
  }
}

const toSuspect = ({ id, name, labels, createdAt }: Labelled): Suspect => ({
  id,
  name,
  worker: labels[LABELS.worker] ?? "",
  createdAt,
});
