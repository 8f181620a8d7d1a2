import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const LOCKED = "locked\n";
const SLOTS_MAX = 1_000;

/** A worker incarnation that had sessions on an engine. */
const Entry = z.object({
  worker: z.string().regex(/^w_[0-9a-z]+$/),
  engine: z.string(),
  /** When it handed its sessions over; absent while it lives, and when it was killed. */
  leftAtMs: z.number().optional(),
  /** Other workers took some of its sessions. */
  isParted: z.boolean().optional(),
});
export type FormerWorker = z.infer<typeof Entry>;

/**
 * A place on this host that one live worker has at a time: it says which incarnations had it before. Workers that share
 * the folder take a place each, one with a past first. The lock is `flock` on a file, held by a child that ends with us:
 * Node.js itself cannot lock files, and a lock must neither outlive a killed worker nor end with a stopped one.
 */
export class StateFolder {
  private constructor(
    readonly folder: string,
    private readonly lock: ChildProcess | undefined,
  ) {}

  static async take(root: string): Promise<StateFolder> {
    await mkdir(root, { recursive: true });
    const old = await slotsOf(root);
    const fresh = Array.from({ length: SLOTS_MAX }, (_, i) => String(i)).filter((slot) => !old.includes(slot));
    for (const slot of [...old, ...fresh]) {
      const folder = join(root, slot);
      await mkdir(folder, { recursive: true });
      const lock = await tryLock(join(folder, "lock"));
      if (lock) return new StateFolder(folder, lock);
    }
    throw new Error(`Cannot take a place in STATE_DIR "${root}": all ${SLOTS_MAX} are taken`);
  }

  /** A place that a worker on this engine left at least `forMs` ago and that nobody has; undefined where there is none. */
  static async takeLeft(
    root: string,
    { engine, forMs }: { engine: string; forMs: number },
  ): Promise<StateFolder | undefined> {
    for (const slot of await slotsOf(root)) {
      const place = new StateFolder(join(root, slot), undefined);
      const isLeft = async (): Promise<boolean> => {
        const entries = await place.read();
        return entries.some(({ engine: on, leftAtMs = Infinity }) => on === engine && Date.now() - leftAtMs >= forMs);
      };
      if (!(await isLeft())) continue;
      const lock = await tryLock(join(place.folder, "lock"));
      if (!lock) continue;
      const taken = new StateFolder(place.folder, lock);
      if (await isLeft()) return taken;
      taken.release(); // somebody was faster
    }
    return undefined;
  }

  /** Nothing that can be read counts as nothing. */
  async read(): Promise<FormerWorker[]> {
    const text = await readFile(join(this.folder, "workers.json"), "utf8").catch(() => "[]");
    try {
      return z.array(Entry).parse(JSON.parse(text));
    } catch {
      return [];
    }
  }

  async write(workers: FormerWorker[]): Promise<void> {
    const path = join(this.folder, "workers.json");
    await writeFile(`${path}.new`, JSON.stringify(workers));
    await rename(`${path}.new`, path);
  }

  /** From now on another process may have the place. */
  release(): void {
    this.lock?.stdin?.destroy();
  }
}

const slotsOf = async (root: string): Promise<string[]> =>
  (await readdir(root)).filter((name) => /^\d{1,3}$/.test(name)).toSorted();

/** @returns undefined when another process has the lock */
const tryLock = async (file: string): Promise<ChildProcess | undefined> => {
  const command = ["--nonblock", file, "sh", "-c", "echo locked; exec cat"];
  // A group of its own: Ctrl-C on a terminal is for us, not for the lock.
  const child = spawn("flock", command, { stdio: ["pipe", "pipe", "ignore"], detached: true });
  return await new Promise((resolve, reject) => {
    child.once("error", (cause) => reject(new Error("STATE_DIR needs the program flock (util-linux)", { cause })));
    child.stdout.once("data", (data: Buffer) => {
      if (data.toString() === LOCKED) resolve(child);
    });
    child.once("exit", () => resolve(undefined));
  });
};
