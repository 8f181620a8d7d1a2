import {
  chmodSync,
  closeSync,
  ftruncateSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { TreeEntry, UnpackTree } from "../../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { AgentFailure, fromSystemError } from "../failure.ts";
import type { Freezer } from "../freezer.ts";
import { CHUNK_BYTES, KIND, type TreeNode } from "./tree-entry.ts";
import type { TreeIndex } from "./tree-index.ts";

const HOLDER = "unpacking";
const GIVEN_UP_MS = 60_000;
/** Until its own is set, after its content. */
const NEW_FILE_MODE = 0o600;
const ACTION = "Cannot restore the session's files";

/** Makes HOME what a checkpoint says, frame by frame; the session stands still meanwhile. */
export class TreeUnpacking {
  #nodes: Map<string, TreeNode> | undefined;
  #givenUp: NodeJS.Timeout | undefined;

  constructor(private readonly deps: { index: TreeIndex; freezer: Freezer; workdir: string }) {}

  /** Gives the scan that it counts as, after the last frame. */
  async unpack(frame: UnpackTree): Promise<{ generation: string; number: bigint } | undefined> {
    const { index, freezer } = this.deps;
    clearTimeout(this.#givenUp);
    this.#givenUp = setTimeout(() => this.#end(), GIVEN_UP_MS);
    try {
      if (frame.isFirst) {
        await freezer.hold(HOLDER);
        empty(index.root);
        this.#nodes = new Map();
      }
      const nodes = this.#nodes;
      if (!nodes) throw new AgentFailure("INVALID_ARGUMENT", `${ACTION}: its first part is missing`);
      for (const entry of frame.entries) nodes.set(entry.path, this.#make(entry));
      this.#write(frame, nodes);
      if (!frame.isLast) return undefined;
      this.#finish(nodes);
    } catch (error) {
      this.#end();
      throw fromSystemError(error, ACTION);
    }
    this.#end();
    return { generation: index.generation, number: BigInt(index.number) };
  }

  #end(): void {
    clearTimeout(this.#givenUp);
    this.#nodes = undefined;
    this.deps.freezer.release(HOLDER);
  }

  /** Modes and times come last: a folder that must not be written to is filled first. */
  #make({ path, kind, mode, mtimeUs, sizeBytes, chunks, target }: TreeEntry): TreeNode {
    const absolute = this.#inside(path);
    const size = Number(sizeBytes);
    if (kind === KIND.folder) mkdirSync(absolute, { recursive: true, mode: 0o700 });
    else if (kind === KIND.symlink) symlinkSync(target, absolute);
    else if (kind === KIND.file && !isOneChunk(size)) createFile(absolute, size);
    else if (kind !== KIND.file)
      throw new AgentFailure("INVALID_ARGUMENT", `${ACTION}: it holds something of an unknown kind`);
    return { kind, mode, mtimeUs: Number(mtimeUs), sizeBytes: size, chunks: Buffer.from(chunks), target };
  }

  #write({ pieces, data }: UnpackTree, nodes: ReadonlyMap<string, TreeNode>): void {
    let from = 0;
    for (const { path, index: at, length } of pieces) {
      const node = nodes.get(path);
      if (node?.kind !== KIND.file) throw new AgentFailure("INVALID_ARGUMENT", `${ACTION}: no file "${path}"`);
      const fd = openSync(this.#inside(path), isOneChunk(node.sizeBytes) ? "w" : "r+", NEW_FILE_MODE);
      try {
        const content = data.subarray(from, from + length);
        for (let done = 0; done < content.length; )
          done += writeSync(fd, content, done, content.length - done, at * CHUNK_BYTES + done);
      } finally {
        closeSync(fd);
      }
      from += length;
    }
  }

  #finish(nodes: ReadonlyMap<string, TreeNode>): void {
    const { index, workdir } = this.deps;
    mkdirSync(workdir, { recursive: true });
    for (const [path, { kind, mode, mtimeUs }] of [...nodes].reverse()) {
      const absolute = this.#inside(path);
      if (kind !== KIND.symlink) chmodSync(absolute, mode);
      const mtime = (mtimeUs + 0.5) / 1e6; // seconds, and never rounded down to the microsecond before
      lutimesSync(absolute, mtime, mtime);
    }
    index.adopt(nodes);
  }

  #inside(path: string): string {
    if (path === "" || path.startsWith("/") || path.split("/").includes(".."))
      throw new AgentFailure("PATH_OUTSIDE_WORKSPACE", `${ACTION}: "${path}" is outside of HOME`);
    return join(this.deps.index.root, path);
  }
}

/** It is made when its content comes. */
const isOneChunk = (size: number): boolean => size > 0 && size <= CHUNK_BYTES;

const createFile = (path: string, size: number): void => {
  const fd = openSync(path, "w", NEW_FILE_MODE);
  try {
    if (size > 0) ftruncateSync(fd, size);
  } finally {
    closeSync(fd);
  }
};

/** Whatever the modes of folders are: they belong to the agent's user. */
const empty = (folder: string): void => {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      chmodSync(path, 0o700);
      empty(path);
    }
    rmSync(path, { recursive: true, force: true });
  }
};
