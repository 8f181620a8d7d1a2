import type { Logger } from "pino";
import type { Service } from "../../shared/service.ts";
import { WatchedFiles } from "../watched-files.ts";
import { HashingQueue } from "./hashing-queue.ts";
import { isSecretOf, parseToken } from "./token-line.ts";
import { TokenList } from "./token-list.ts";
import { Refusal, type Verdict } from "./verdict.ts";

const UNKNOWN = Refusal.invalid("The token is unknown or was revoked");
/** A token that is verified is not hashed again for so long. */
const GOOD_FOR_MS = 3_600_000;

/** The tokens of the operator's file. Taking a line out of it revokes the token within a second. */
export class StaticTokens implements Service {
  readonly #file: WatchedFiles;
  readonly #queue = new HashingQueue();
  #list = new TokenList("");

  /** @param onChange what was verified before may be revoked */
  constructor(path: string, onChange: () => void, log: Logger) {
    this.#file = new WatchedFiles(
      [path],
      ([text = ""]) => {
        this.#list = new TokenList(text);
        onChange();
      },
      log,
    );
  }

  /** @throws {ConfigError} when the file cannot be read or is no good */
  async start(): Promise<void> {
    await this.#file.load();
    this.#file.start();
  }

  async stop(): Promise<void> {
    await this.#file.stop();
  }

  get size(): number {
    return this.#list.size;
  }

  /** @returns undefined for what does not look like a token of ours */
  verify(token: string): Promise<Verdict> | undefined {
    const parts = parseToken(token);
    return parts && this.#verify(parts);
  }

  async #verify({ id, secret }: { id: string; secret: string }): Promise<Verdict> {
    const entry = this.#list.find(id);
    if (!entry) return UNKNOWN;
    if (Date.now() >= entry.expiresAt) return Refusal.invalid("The token is over");
    const isGood = await this.#queue.run(id, () => isSecretOf(entry, secret));
    if (isGood === undefined) return Refusal.later("Too many tokens are being looked at; try again in a moment");
    if (!isGood || this.#list.find(id)?.line !== entry.line) return UNKNOWN; // revoked meanwhile
    return { principal: entry.principal, until: Math.min(entry.expiresAt, Date.now() + GOOD_FOR_MS) };
  }
}
