import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import type { SandboxHost } from "../sandbox/sandbox-host.ts";
import { type FormerWorker, StateFolder } from "./state-folder.ts";
import type { Takeover } from "./takeover.ts";

const RETRY_MS = 1_000;
const BEAT_POLL_MS = 50;

/** Has a place in the state folder, and takes over what the workers that had it before left on this engine. */
export class Successor {
  #folder: StateFolder | undefined;
  #former: FormerWorker[] = [];
  #taking: Promise<void> | undefined;

  constructor(
    private readonly deps: {
      host: SandboxHost;
      /** Nothing is taken before a beat got through: it could be taken back at once. */
      beats: { readonly mayStart: boolean };
      takeover: Takeover;
      log: Logger;
    },
    private readonly worker: string,
    private readonly root: string,
  ) {}

  /** Takes the folder: from now on no other process has it. */
  async begin(): Promise<void> {
    this.#folder = await StateFolder.take(this.root);
    this.#former = await this.#folder.read();
  }

  /** The engine is there: begins to take over, once. Tries until it is done. */
  takeOver(): void {
    this.#taking ??= this.#takeAll();
  }

  /** What this worker has is left to whoever comes: the next one in this place, or after a while any of this host. */
  async leave(): Promise<void> {
    const entries = (await this.#folder?.read()) ?? [];
    await this.#folder?.write(entries.map((entry) => ({ leftAtMs: Date.now(), ...entry })));
  }

  /** Nothing is left here that this worker would still write: its own successor may begin. */
  end(): void {
    this.#folder?.release();
  }

  async #takeAll(): Promise<void> {
    for (;;) {
      try {
        const engine = this.deps.host.present?.engineId;
        if (engine === undefined) throw new Error("the engine went away");
        while (!this.deps.beats.mayStart) await sleep(BEAT_POLL_MS, undefined, { ref: false });
        const own = { worker: this.worker, engine };
        await this.#folder?.write([own, ...this.#former]);
        for (const former of this.#former) if (former.engine === engine) await this.#takeFrom(former);
        await this.#folder?.write([own]);
        return;
      } catch (err) {
        this.deps.log.warn({ err }, "sessions of the last worker were not taken over; it is tried again");
        await sleep(RETRY_MS, undefined, { ref: false });
      }
    }
  }

  async #takeFrom({ worker, isParted }: FormerWorker): Promise<void> {
    await this.deps.takeover.takeFrom(worker);
    // Where others took a part, they have containers that bear its name: the sweeper tells which.
    if (!isParted) await this.deps.host.removeLeftBy(worker);
  }
}
