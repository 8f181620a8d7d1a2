import { join } from "node:path";
import type { ReadChunks, ScanTree } from "../../../proto/gen/codegen/agent/v1/agent_pb.ts";
import type { AgentFrameInit } from "../connection.ts";
import { AgentFailure, fromSystemError } from "../failure.ts";
import type { Freezer } from "../freezer.ts";
import type { OwnWrites } from "./own-writes.ts";
import { readChunk } from "./read-chunks.ts";
import { CHUNK_BYTES, KIND, type TreeNode } from "./tree-entry.ts";
import type { TreeChange, TreeIndex } from "./tree-index.ts";

type Reply = Exclude<AgentFrameInit["body"], undefined>;
type ScanReply = Extract<Reply, { case: "treeScan" }>["value"];
type EntryReply = NonNullable<ScanReply["entries"]>[number];

const HOLDER = "scan";
/** A worker that asks for nothing for this long has given the scan up. */
const GIVEN_UP_MS = 20_000;
/** Of one frame. */
const MAX_ENTRIES = 10_000;
const MAX_DATA_BYTES = 4 * 1024 * 1024;
const MAX_READ_CHUNKS = 1_000;
const MAX_READ_BYTES = 8 * 1024 * 1024;

/** Answers for the scan that is under way; the session stands still until it ended. */
export class TreeScan {
  #changes: TreeChange[] = [];
  #isFull = false;
  /** Nothing is left that the worker could have to ask for. */
  #isAllInline = true;
  #givenUp: NodeJS.Timeout | undefined;

  constructor(
    private readonly deps: {
      index: TreeIndex;
      freezer: Freezer;
      ownWrites: OwnWrites;
      /** Nothing lives in the session that could write. */
      isAlone: () => boolean;
    },
  ) {}

  async scan({ generation, base, isContinued, isBare }: ScanTree): Promise<ScanReply> {
    const { index, freezer, ownWrites, isAlone } = this.deps;
    if (isContinued) this.#goOn();
    else {
      await freezer.hold(HOLDER);
      this.#expectMore();
      this.#isFull = base === 0n || generation !== index.generation;
      try {
        index.scan(ownWrites.take(isAlone()));
      } catch (error) {
        ownWrites.forget();
        this.end();
        throw fromSystemError(error, "Cannot scan the session's files");
      }
      this.#isAllInline = true;
      this.#changes = index.changesSince(this.#isFull ? 0 : Number(base));
    }
    return this.#page(isBare);
  }

  read({ chunks }: ReadChunks): Buffer {
    this.#goOn();
    const { index } = this.deps;
    if (chunks.length > MAX_READ_CHUNKS) throw new AgentFailure("INVALID_ARGUMENT", "Too many chunks are asked for");
    const found: Buffer[] = [];
    let bytes = 0;
    for (const { path, index: at } of chunks) {
      if (index.get(path)?.kind !== KIND.file) throw new AgentFailure("NOT_FOUND", `The scan has no file "${path}"`);
      const chunk = read(join(index.root, path), at);
      bytes += chunk.length;
      if (bytes > MAX_READ_BYTES) throw new AgentFailure("FILE_TOO_LARGE", "More is asked for than a frame holds");
      found.push(chunk);
    }
    return Buffer.concat(found);
  }

  /** Idempotent. */
  end(): void {
    clearTimeout(this.#givenUp);
    this.#givenUp = undefined;
    this.#changes = [];
    this.deps.freezer.release(HOLDER);
  }

  /** @throws {AgentFailure} when there is no scan any more */
  #goOn(): void {
    if (!this.#givenUp) throw new AgentFailure("NOT_FOUND", "No scan is under way");
    this.#expectMore();
  }

  #expectMore(): void {
    clearTimeout(this.#givenUp);
    this.#givenUp = setTimeout(() => this.end(), GIVEN_UP_MS);
  }

  #page(isBare: boolean): ScanReply {
    const { index } = this.deps;
    const entries: EntryReply[] = [];
    const data: Buffer[] = [];
    let bytes = 0;
    for (const { path, node } of this.#changes) {
      if (entries.length >= MAX_ENTRIES) break;
      const mayInline = !isBare && node?.kind === KIND.file && node.sizeBytes > 0 && node.sizeBytes <= CHUNK_BYTES;
      if (mayInline && bytes + node.sizeBytes > MAX_DATA_BYTES) break;
      if (mayInline) {
        data.push(read(join(index.root, path), 0));
        bytes += node.sizeBytes;
      } else if (node && node.sizeBytes > 0) this.#isAllInline = false;
      entries.push(node ? toEntry(path, node, mayInline) : { path, kind: KIND.removed });
    }
    this.#changes = this.#changes.slice(entries.length);
    const isComplete = this.#changes.length === 0;
    const isEnded = isComplete && this.#isAllInline;
    if (isEnded) this.end();
    const { generation, number, leftOut, fileCount, fileBytes } = index;
    const scan = { generation, number: BigInt(number), isFull: this.#isFull, leftOut };
    const total = { fileCount, fileBytes: BigInt(fileBytes) };
    return { ...scan, ...total, entries, data: Buffer.concat(data), isComplete, isEnded };
  }
}

const read = (path: string, index: number): Buffer => {
  try {
    return readChunk(path, index);
  } catch (error) {
    throw fromSystemError(error, "Cannot read what was scanned");
  }
};

const toEntry = (path: string, node: TreeNode, isInline: boolean): EntryReply => ({
  path,
  kind: node.kind,
  mode: node.mode,
  mtimeUs: BigInt(node.mtimeUs),
  sizeBytes: BigInt(node.sizeBytes),
  chunks: node.chunks,
  target: node.target,
  isInline,
});
