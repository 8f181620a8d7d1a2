import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ObjectStore, StoredObject } from "./object-store.ts";

const TEMPORARY = ".tmp";

/** Objects as files: on one host, or a mount that all workers share. */
export class FolderStore implements ObjectStore {
  readonly #known = new Set<string>();

  constructor(private readonly root: string) {}

  async put(name: string, bytes: Buffer): Promise<void> {
    const path = join(this.root, name);
    const folder = dirname(path);
    if (!this.#known.has(folder)) await mkdir(folder, { recursive: true, mode: 0o700 });
    this.#known.add(folder);
    const temporary = join(folder, `${randomBytes(6).toString("hex")}${TEMPORARY}`);
    try {
      await writeThrough(temporary, bytes);
      await rename(temporary, path);
    } catch (error) {
      this.#known.delete(folder); // somebody may have removed it
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async get(name: string): Promise<Buffer | undefined> {
    try {
      return await readFile(join(this.root, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  async has(name: string): Promise<boolean> {
    try {
      return (await stat(join(this.root, name))).isFile();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw error;
    }
  }

  /** Also what a killed worker left half-written. */
  async *list(prefix: string): AsyncGenerator<StoredObject> {
    const folder = join(this.root, prefix);
    for (const name of await readdir(folder).catch(ignoreMissing)) {
      const path = `${prefix}/${name}`;
      const found = await stat(join(this.root, path)).catch(() => undefined);
      if (found?.isDirectory()) yield* this.list(path);
      else if (found) yield { name: path, writtenAt: found.mtimeMs };
    }
  }

  async delete(names: string[]): Promise<void> {
    await Promise.all(names.map((name) => rm(join(this.root, name), { force: true })));
  }
}

const writeThrough = async (path: string, bytes: Buffer): Promise<void> => {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(bytes);
    await file.datasync();
  } finally {
    await file.close();
  }
};

const ignoreMissing = (error: NodeJS.ErrnoException): string[] => {
  if (error.code === "ENOENT") return [];
  throw error;
};
