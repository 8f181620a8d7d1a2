import type { Logger } from "pino";
import type { Sandbox } from "../sandbox/sandbox.ts";
import type { CpuAccounts } from "./cpu-accounts.ts";

/** Removes sessions' containers. What cannot be removed now is kept in mind and tried again. */
export class ContainerRemoval {
  readonly #unremoved = new Set<Sandbox>();

  constructor(
    /** What is told of a container before it goes. */
    private readonly accounts: Pick<CpuAccounts, "close">,
    private readonly log: Logger,
  ) {}

  /** Never rejects. */
  async remove(sandbox: Sandbox | undefined): Promise<void> {
    if (!sandbox) return;
    await this.accounts.close(sandbox);
    try {
      await sandbox.remove();
      this.#unremoved.delete(sandbox);
    } catch (err) {
      this.#unremoved.add(sandbox);
      this.log.warn({ err, container: sandbox.containerId }, "a container was not removed; it is tried again");
    }
  }

  /** Not awaited: a removal that hangs must hold nobody up. */
  tryAgain(): void {
    for (const sandbox of this.#unremoved) void this.remove(sandbox);
  }
}
