import { createHash } from "node:crypto";
import { ToolFailure } from "../../shared/failure.ts";
import type { ObjectStore, StoredObject } from "./object-store.ts";

/**
 * Objects named by the SHA-256 of their bytes, in a space of this deployment's own: whoever finds another Redis, or an
 * empty one, finds another space, and neither reads nor sweeps what is not theirs.
 */
export class CheckpointStore {
  #spaceFound: Promise<string> | undefined;

  constructor(
    private readonly objects: ObjectStore,
    private readonly findSpace: () => Promise<string>,
  ) {}

  /** @returns the object's name @throws {ToolFailure} STORE_UNAVAILABLE */
  async put(bytes: Buffer): Promise<string> {
    const name = createHash("sha256").update(bytes).digest("hex");
    await this.#try("write", async () => await this.objects.put(await this.#pathOf(name), bytes));
    return name;
  }

  /** @throws {ToolFailure} STORE_UNAVAILABLE, also for an object that is missing or damaged */
  async get(name: string): Promise<Buffer> {
    const bytes = await this.#try("read", async () => await this.objects.get(await this.#pathOf(name)));
    return checked(name, bytes);
  }

  /** @throws {ToolFailure} STORE_UNAVAILABLE when one of the objects is missing */
  async check(names: string[]): Promise<void> {
    for (const name of names) {
      const isThere = await this.#try("read", async () => await this.objects.has(await this.#pathOf(name)));
      if (!isThere) throw unavailable(`object ${name} is missing`);
    }
  }

  /**
   * Brings objects over that stand in another space, one at a time.
   * @throws {ToolFailure} STORE_UNAVAILABLE, also for an object that is missing or damaged there
   */
  async bring(space: string, names: readonly string[]): Promise<void> {
    if (space === (await this.#space())) return;
    for (const name of names) {
      const isHere = await this.#try("read", async () => await this.objects.has(await this.#pathOf(name)));
      if (isHere) continue;
      const bytes = await this.#try("read", async () => await this.objects.get(pathIn(space, name)));
      await this.put(checked(name, bytes));
    }
  }

  /** Every object of this space; `name` is undefined for what is none, such as the half of one. */
  async *list(): AsyncGenerator<StoredObject & { object: string | undefined }> {
    for await (const found of this.objects.list(await this.#space()))
      yield { ...found, object: /\/([0-9a-f]{2})\/([0-9a-f]{62})$/.exec(found.name)?.slice(1).join("") };
  }

  async delete(paths: string[]): Promise<void> {
    await this.objects.delete(paths);
  }

  async #pathOf(name: string): Promise<string> {
    return pathIn(await this.#space(), name);
  }

  #space(): Promise<string> {
    this.#spaceFound ??= this.findSpace().catch((error) => {
      this.#spaceFound = undefined;
      throw error;
    });
    return this.#spaceFound;
  }

  async #try<T>(what: string, attempt: () => Promise<T>): Promise<T> {
    try {
      return await attempt();
    } catch (cause) {
      throw unavailable(`it cannot ${what}: ${reasonOf(cause)}`, cause);
    }
  }
}

const pathIn = (space: string, name: string): string => `${space}/${name.slice(0, 2)}/${name.slice(2)}`;

/** What a store gave for a name is that. */
const checked = (name: string, bytes: Buffer | undefined): Buffer => {
  if (!bytes) throw unavailable(`object ${name} is missing`);
  if (createHash("sha256").update(bytes).digest("hex") !== name) throw unavailable(`object ${name} is damaged`);
  return bytes;
};

const unavailable = (why: string, cause?: unknown): ToolFailure =>
  new ToolFailure("STORE_UNAVAILABLE", `The checkpoint store failed: ${why}`, {
    cause,
    hint: "The session itself goes on. Try again later, or tell the operator.",
  });

const REASONS: Record<string, string> = {
  ENOSPC: "its disk is full",
  EDQUOT: "its quota is used up",
  EACCES: "it refuses",
  EROFS: "it is read-only",
};
/** Never a path or an address: whoever reads it may not know where the store is. */
const reasonOf = (error: unknown): string => {
  const { code, name } = error as NodeJS.ErrnoException;
  return REASONS[code ?? ""] ?? code ?? name ?? "it failed";
};
