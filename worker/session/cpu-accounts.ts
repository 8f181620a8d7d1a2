import type { Redis } from "ioredis";
import type { Logger } from "pino";
import { PeriodicService } from "../../shared/periodic-service.ts";
import { keys } from "../../shared/redis/keys.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { SandboxUsage } from "./sandbox-usage.ts";

const EVERY_MS = 5_000;
const HOUR_MS = 3_600_000;
/** An hour's count is read until the hour is over. */
const KEPT_S = 2 * 3_600;

interface Account {
  principal: string;
  usage: SandboxUsage;
}

/**
 * Writes the cpu time of sessions' containers to their principals' accounts, every 5 s and before a container goes, as long
 * as some quota asks for it. What a container used that died by itself is counted up to the look before.
 */
export class CpuAccounts extends PeriodicService {
  readonly #accounts = new Map<Sandbox, Account>();
  #isAsked = false;

  constructor(
    private readonly redis: Redis,
    log: Logger,
  ) {
    super("cpu accounts", EVERY_MS, log);
  }

  /** The container is the principal's from now on. */
  open(sandbox: Sandbox, principal: string): void {
    this.#accounts.set(sandbox, { principal, usage: new SandboxUsage(() => [sandbox]) });
  }

  /** The container is about to go. Never rejects. */
  async close(sandbox: Sandbox): Promise<void> {
    const account = this.#accounts.get(sandbox);
    this.#accounts.delete(sandbox);
    if (!account || !this.#isAsked || sandbox.death) return;
    await this.#count([account]).catch((err: unknown) => this.log.warn({ err }, "cpu time was not counted"));
  }

  protected override async pass(): Promise<void> {
    if (this.redis.status !== "ready") return;
    this.#isAsked = (await this.redis.exists(keys.cpuCounted)) === 1;
    if (this.#isAsked) await this.#count([...this.#accounts.values()]);
  }

  async #count(accounts: readonly Account[]): Promise<void> {
    const used = new Map<string, number>();
    await Promise.all(
      accounts.map(async ({ principal, usage }) => {
        const { cpuSeconds } = await usage.look();
        used.set(principal, (used.get(principal) ?? 0) + Math.round(cpuSeconds * 1_000));
      }),
    );
    const hour = Math.floor(Date.now() / HOUR_MS);
    await Promise.all(
      [...used].map(async ([principal, ms]) => {
        if (ms === 0) return;
        const key = `${keys.quota(principal)}:cpu:${hour}`;
        await Promise.all([this.redis.incrby(key, ms), this.redis.expire(key, KEPT_S)]);
      }),
    );
  }
}
