import { readFile } from "node:fs/promises";
import type { Logger } from "pino";
import { ConfigError } from "../shared/config.ts";
import { PeriodicService } from "../shared/periodic-service.ts";

const EVERY_MS = 1_000;

/**
 * Files that take effect within a second of being changed. They are read and compared, which works wherever they lie and
 * however they are replaced. Contents that `take` refuses are said so in the log, and those before stay in force.
 */
export class WatchedFiles extends PeriodicService {
  #taken: string | undefined;
  #problem = "";

  constructor(
    private readonly paths: readonly string[],
    private readonly take: (texts: string[]) => void,
    log: Logger,
  ) {
    super(`watch of ${paths.join(", ")}`, EVERY_MS, log);
  }

  /** Reads them for the first time. @throws {ConfigError} when they cannot be read or are no good */
  async load(): Promise<void> {
    try {
      await this.#look();
    } catch (error) {
      throw new ConfigError(`${this.paths.join(", ")}: ${(error as Error).message}`);
    }
  }

  protected override async pass(): Promise<void> {
    const files = this.paths;
    try {
      if (await this.#look()) this.log.info({ files }, "changed files were read and are in force");
      this.#problem = "";
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#problem)
        this.log.error({ files, problem: message }, "changed files are no good; what they said before stays in force");
      this.#problem = message;
    }
  }

  async #look(): Promise<boolean> {
    const texts = await Promise.all(this.paths.map((path) => readFile(path, "utf8")));
    const all = JSON.stringify(texts);
    if (all === this.#taken) return false;
    this.take(texts);
    this.#taken = all;
    return true;
  }
}
