import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A larger file's earlier content is not kept. */
export const BLOB_MAX_BYTES = 512 * 1024;

/** Earlier contents of files, by their hash, in a bounded folder. What does not fit is not kept; nothing ever fails for it. */
export class BlobStore {
  readonly #sizes = new Map<string, number>();
  #bytes = 0;
  #isGrown = false;

  constructor(
    private readonly folder: string,
    private readonly limitBytes: number,
  ) {}

  /** Something came in since `keepOnly`. */
  get isGrown(): boolean {
    return this.#isGrown;
  }

  /** Gives the content's id, or undefined when it was not kept. */
  put(content: Uint8Array): string | undefined {
    const id = createHash("sha1").update(content).digest("hex");
    if (this.#sizes.has(id)) return id;
    if (content.length > BLOB_MAX_BYTES || this.#bytes + content.length > this.limitBytes) return undefined;
    try {
      mkdirSync(this.folder, { recursive: true, mode: 0o700 });
      writeFileSync(join(this.folder, id), content);
    } catch {
      rmSync(join(this.folder, id), { force: true });
      return undefined; // its disk is full, or somebody made the folder something else
    }
    this.#sizes.set(id, content.length);
    this.#bytes += content.length;
    this.#isGrown = true;
    return id;
  }

  get(id: string): Buffer | undefined {
    try {
      return readFileSync(join(this.folder, id));
    } catch {
      return undefined; // the session's own commands may remove it
    }
  }

  /** Forgets every content that is not in `ids`. */
  keepOnly(ids: ReadonlySet<string>): void {
    this.#isGrown = false;
    for (const [id, bytes] of this.#sizes) {
      if (ids.has(id)) continue;
      rmSync(join(this.folder, id), { force: true });
      this.#sizes.delete(id);
      this.#bytes -= bytes;
    }
  }
}
