import { randomUUID } from "node:crypto";
import { lstatSync, readdirSync, readlinkSync, type Stats } from "node:fs";
import { join } from "node:path";
import { asReadable } from "./as-readable.ts";
import { hashChunks } from "./read-chunks.ts";
import { isSameNode, KIND, type TreeNode, treeNode } from "./tree-entry.ts";

/** The kernel's clock for file times is coarse: a later write may bear the time of an earlier one within this. */
const CLOCK_GRAIN_MS = 20;

interface Indexed {
  node: TreeNode;
  ino: number;
  ctimeMs: number;
  /** It may have been written again within the same tick: its content is looked at once more. */
  isFresh: boolean;
  /** The scans that found it changed last, and found it at all. */
  changedIn: number;
  seenIn: number;
}

export interface TreeChange {
  path: string;
  /** Undefined where something was removed. */
  node: TreeNode | undefined;
}

/**
 * What stands in a folder, and since which scan. A scan hashes only what may have changed since the last one (size, inode
 * and change time tell), so that it costs little where little has changed.
 */
export class TreeIndex {
  /** Another one after every restart and unpacking: numbers of scans mean nothing across them. */
  #generation = randomUUID();
  #number = 0;
  /** Parents before what is in them, in the order they were first found. */
  #entries = new Map<string, Indexed>();
  #removals = new Map<string, number>();
  #leftOut = 0;
  #fileCount = 0;
  #fileBytes = 0;

  constructor(readonly root: string) {}

  get generation(): string {
    return this.#generation;
  }

  get number(): number {
    return this.#number;
  }

  /** What the last scan could not take in. */
  get leftOut(): number {
    return this.#leftOut;
  }

  get fileCount(): number {
    return this.#fileCount;
  }

  get fileBytes(): number {
    return this.#fileBytes;
  }

  /**
   * Looks at everything, in one go: nothing may change meanwhile.
   * @param touched absolute paths of the only files that may have changed since the last scan
   */
  scan(touched?: ReadonlySet<string>): void {
    if (touched && this.#scanSome(touched)) return;
    this.#number++;
    this.#leftOut = 0;
    this.#fileCount = 0;
    this.#fileBytes = 0;
    this.#scanFolder("", Date.now() - CLOCK_GRAIN_MS);
    for (const [path, { seenIn }] of this.#entries) {
      if (seenIn === this.#number) continue;
      this.#entries.delete(path);
      this.#removals.set(path, this.#number);
    }
  }

  /** What changed after scan `base`; everything for 0. Removals come first, parents before what is in them. */
  changesSince(base: number): TreeChange[] {
    const changes: TreeChange[] = [];
    for (const [path, removedIn] of this.#removals) {
      if (removedIn <= base) this.#removals.delete(path);
      else if (base > 0) changes.push({ path, node: undefined });
    }
    const found: TreeChange[] = [];
    for (const [path, { node, changedIn }] of this.#entries) if (changedIn > base) found.push({ path, node });
    found.sort((a, b) => (a.path < b.path ? -1 : 1)); // a folder's path is a prefix of what is in it
    return changes.concat(found);
  }

  get(path: string): TreeNode | undefined {
    return this.#entries.get(path)?.node;
  }

  /** What was just unpacked counts as scanned: its hashes are known. */
  adopt(nodes: ReadonlyMap<string, TreeNode>): void {
    this.#generation = randomUUID();
    this.#number = 1;
    this.#entries = new Map();
    this.#removals = new Map();
    for (const [path, node] of nodes) {
      const stat = lstatSync(join(this.root, path));
      const { ino, ctimeMs } = stat;
      const adopted = { ...node, ...treeNode(node.kind, stat, node) };
      this.#entries.set(path, { node: adopted, ino, ctimeMs, isFresh: false, changedIn: 1, seenIn: 1 });
    }
  }

  /** Looks at files, and the folders on the way to them. @returns false where it takes a look at everything */
  #scanSome(touched: ReadonlySet<string>): boolean {
    this.#number++;
    const freshFromMs = Date.now() - CLOCK_GRAIN_MS;
    const onTheWay = new Set<string>();
    for (const absolute of touched) {
      if (!absolute.startsWith(`${this.root}/`) || absolute.includes("\ufffd")) return false;
      const path = absolute.slice(this.root.length + 1);
      for (let end = path.indexOf("/"); end >= 0; end = path.indexOf("/", end + 1)) onTheWay.add(path.slice(0, end));
      if (!this.#lookAgain(path, KIND.file, freshFromMs)) return false;
    }
    return [...onTheWay].every((path) => this.#lookAgain(path, KIND.folder, freshFromMs));
  }

  /** @returns false for what is not of that kind */
  #lookAgain(path: string, kind: TreeNode["kind"], freshFromMs: number): boolean {
    const known = this.#entries.get(path);
    if (known && known.node.kind !== kind) return false;
    const stat = lstatIfReadable(`${this.root}/${path}`);
    if (known && kind === KIND.file) this.#count(known.node.sizeBytes, -1);
    if (stat === "missing" && kind === KIND.file) {
      if (this.#entries.delete(path)) this.#removals.set(path, this.#number);
      return true;
    }
    if (typeof stat === "string" || !this.#take(path, stat, freshFromMs)) return false;
    const { node } = this.#entries.get(path)!;
    if (node.kind === KIND.file) this.#count(node.sizeBytes, 1);
    return node.kind === kind;
  }

  #count(bytes: number, by: 1 | -1): void {
    this.#fileCount += by;
    this.#fileBytes += by * bytes;
  }

  #scanFolder(folder: string, freshFromMs: number): void {
    const absoluteFolder = folder === "" ? this.root : `${this.root}/${folder}`;
    for (const name of readdirSync(absoluteFolder)) {
      if (name.includes("\ufffd")) {
        this.#leftOut++; // no UTF-8: it could not be made again under its name
        continue;
      }
      const path = folder === "" ? name : `${folder}/${name}`;
      const absolute = `${absoluteFolder}/${name}`; // not by join(): this is what a scan does most
      const stat = lstatSync(absolute, { throwIfNoEntry: false });
      if (!stat || !this.#take(path, stat, freshFromMs)) this.#leftOut++;
      else if (stat.isFile()) this.#count(stat.size, 1);
      else if (stat.isDirectory()) asReadable(absolute, () => this.#scanFolder(path, freshFromMs));
    }
  }

  /** @returns false for what cannot be kept */
  #take(path: string, stat: Stats, freshFromMs: number): boolean {
    const known = this.#entries.get(path);
    const { ino, ctimeMs } = stat;
    if (known && !known.isFresh && known.ino === ino && known.ctimeMs === ctimeMs) {
      known.seenIn = this.#number;
      return true;
    }
    const node = this.#read(path, stat);
    if (!node) return false;
    const isFresh = ctimeMs >= freshFromMs;
    const changedIn = known && isSameNode(known.node, node) ? known.changedIn : this.#number;
    if (known) Object.assign(known, { node, ino, ctimeMs, isFresh, changedIn, seenIn: this.#number });
    else this.#entries.set(path, { node, ino, ctimeMs, isFresh, changedIn, seenIn: this.#number });
    this.#removals.delete(path);
    return true;
  }

  #read(path: string, stat: Stats): TreeNode | undefined {
    const absolute = join(this.root, path);
    try {
      if (stat.isDirectory()) return treeNode(KIND.folder, stat);
      if (stat.isSymbolicLink()) return treeNode(KIND.symlink, stat, { target: readlinkSync(absolute) });
      if (stat.isFile()) return treeNode(KIND.file, stat, hashChunks(absolute));
    } catch {
      // it cannot be read: left out
    }
    return undefined;
  }
}

const lstatIfReadable = (path: string): Stats | "missing" | "unreadable" => {
  try {
    return lstatSync(path, { throwIfNoEntry: false }) ?? "missing";
  } catch {
    return "unreadable";
  }
};
