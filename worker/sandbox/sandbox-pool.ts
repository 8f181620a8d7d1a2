import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "pino";
import type { Service } from "../../shared/service.ts";
import type { Sandbox } from "./sandbox.ts";
import type { SandboxHost, SandboxKind } from "./sandbox-host.ts";

/** Starting a container keeps a core busy for a while; running calls come first. */
const REFILL_CONCURRENCY = 2;
const BUSY_LOOK_MS = 500;
const RETRY_FIRST_MS = 1_000;
const RETRY_LAST_MS = 15_000;

/** Keeps sandboxes warm: started, their agents connected. Hands one out at once, or makes one when none is there. */
export class SandboxPool implements Service {
  #abort: AbortController | undefined;
  readonly #warm: Sandbox[] = [];
  readonly #starting = new Set<Promise<void>>();
  #retryMs = RETRY_FIRST_MS;
  #isBackingOff = false;
  #busyTimer: NodeJS.Timeout | undefined;
  /** Above the pool's size, for as long as they are expected to be needed. */
  #expected = 0;

  constructor(
    private readonly deps: {
      host: SandboxHost;
      /** Sessions come back and need the cores: the pool fills when they have. */
      isBusy: () => boolean;
      metrics: { poolTaken(result: "warm" | "miss" | "other_kind"): void };
      log: Logger;
    },
    readonly size: number,
  ) {
    deps.host.whenAvailable(() => this.#refill());
  }

  get warmCount(): number {
    return this.#warm.length;
  }

  get startingCount(): number {
    return this.#starting.size;
  }

  /** So many sessions more than usual may come for one soon; 0 when that is over. A worker without a pool makes none. */
  expect(count: number): void {
    const isLess = count < this.#expected;
    this.#expected = this.size > 0 ? count : 0;
    if (isLess) void Promise.all(this.#warm.splice(this.#target).map((sandbox) => this.#remove(sandbox)));
    else this.#refill();
  }

  get #target(): number {
    return this.size + this.#expected;
  }

  /** Idempotent. Returns at once and fills in the background. */
  start(): void {
    this.#abort ??= new AbortController();
    this.#refill();
  }

  /** Idempotent. Removes what is warm; what was handed out is its owner's. */
  async stop(): Promise<void> {
    this.#abort?.abort();
    this.#abort = undefined;
    clearTimeout(this.#busyTimer);
    await Promise.all(this.#starting);
    await Promise.all(this.#warm.splice(0).map((sandbox) => this.#remove(sandbox)));
  }

  /**
   * A warm sandbox, or a cold one; always cold where it is to run another image than the host's default, or has egress.
   * @throws {ToolFailure} SANDBOX_UNAVAILABLE, IMAGE_NOT_FOUND, NETWORK_DISABLED
   */
  async take(kind?: SandboxKind): Promise<Sandbox> {
    const { host, metrics } = this.deps;
    if (kind && (kind.hasEgress || kind.image !== host.images.defaultName)) {
      metrics.poolTaken("other_kind");
      return await host.create(kind);
    }
    const warm = this.#takeWarm();
    if (this.#expected > 0) this.#expected--;
    metrics.poolTaken(warm ? "warm" : "miss");
    // A refill would compete with the first call of the session that this one is for.
    setTimeout(() => this.#refill(), 20).unref();
    return warm ?? (await host.create());
  }

  #takeWarm(): Sandbox | undefined {
    for (let sandbox = this.#warm.shift(); sandbox; sandbox = this.#warm.shift()) {
      if (!sandbox.death) return sandbox;
      void this.#remove(sandbox);
    }
    return undefined;
  }

  #refill(): void {
    const signal = this.#abort?.signal;
    if (!signal || this.#isBackingOff || !this.deps.host.isAvailable) return;
    clearTimeout(this.#busyTimer);
    if (this.deps.isBusy()) {
      this.#busyTimer = setTimeout(() => this.#refill(), BUSY_LOOK_MS).unref();
      return;
    }
    while (this.#starting.size < REFILL_CONCURRENCY && this.#warm.length + this.#starting.size < this.#target) {
      const starting = this.#startOne(signal);
      this.#starting.add(starting);
      void starting.then(() => {
        this.#starting.delete(starting);
        this.#refill();
      });
    }
  }

  async #startOne(signal: AbortSignal): Promise<void> {
    try {
      const sandbox = await this.deps.host.create();
      this.#retryMs = RETRY_FIRST_MS;
      if (signal.aborted) await this.#remove(sandbox);
      else this.#warm.push(sandbox);
    } catch (err) {
      if (signal.aborted) return;
      this.deps.log.error({ err, retryMs: this.#retryMs }, "the pool could not start a sandbox");
      this.#backOff(signal);
    }
  }

  #backOff(signal: AbortSignal): void {
    if (this.#isBackingOff) return;
    this.#isBackingOff = true;
    void delay(this.#retryMs, undefined, { signal, ref: false })
      .catch(() => {}) // stopped
      .then(() => {
        this.#isBackingOff = false;
        this.#refill();
      });
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_LAST_MS);
  }

  async #remove(sandbox: Sandbox): Promise<void> {
    await sandbox.remove().catch((err) => this.deps.log.warn({ err }, "a container of the pool is left behind"));
  }
}
