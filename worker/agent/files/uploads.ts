import { createHash, type Hash } from "node:crypto";
import {
  closeSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import type { WritePart } from "../../../proto/gen/codegen/agent/v1/agent_pb.ts";
import { AgentFailure, fromSystemError } from "../failure.ts";
import type { WorkspacePaths } from "./workspace-path.ts";
import type { WriteResult } from "./write-files.ts";

const UPLOADS_MAX = 16;
const IDLE_MS = 60_000;
const DEFAULT_MODE = 0o644;

interface Upload {
  target: string;
  temporary: string;
  fd: number;
  bytes: number;
  hash: Hash;
  idle: NodeJS.Timeout;
}

/** Files that come in parts: written beside their targets, whose names they take with their last part. */
export class Uploads {
  readonly #open = new Map<string, Upload>();

  constructor(private readonly paths: WorkspacePaths) {}

  /** Nothing of a file stands beside its target. */
  get isIdle(): boolean {
    return this.#open.size === 0;
  }

  /** What came so far; `created` counts with the last part. */
  write({ path, uploadId, offset, data, isLast, discard }: WritePart): WriteResult {
    const action = `Cannot write "${path}"`;
    if (discard) {
      this.#drop(uploadId);
      return { sizeBytes: 0n, sha256: "", created: false };
    }
    try {
      const upload = this.#open.get(uploadId) ?? this.#begin(uploadId, path, action);
      if (Number(offset) !== upload.bytes)
        throw new AgentFailure("INVALID_ARGUMENT", `${action}: part ${offset} came where ${upload.bytes} was due`);
      for (let written = 0; written < data.length; ) written += writeSync(upload.fd, data, written);
      upload.hash.update(data);
      upload.bytes += data.length;
      upload.idle.refresh();
      const created = isLast ? this.#finish(uploadId, upload) : false;
      return { sizeBytes: BigInt(upload.bytes), sha256: isLast ? upload.hash.digest("hex") : "", created };
    } catch (error) {
      this.#drop(uploadId);
      throw fromSystemError(error, action);
    }
  }

  #begin(uploadId: string, path: string, action: string): Upload {
    if (!/^[\w-]{1,64}$/.test(uploadId)) throw new AgentFailure("INVALID_ARGUMENT", `${action}: bad upload_id`);
    if (this.#open.size >= UPLOADS_MAX)
      throw new AgentFailure("QUEUE_FULL", `${action}: ${UPLOADS_MAX} files are being uploaded already`);
    const target = this.paths.target(path, action);
    const old = present(target);
    if (path.endsWith("/") || this.paths.relative(target) === "" || (old && !old.isFile()))
      throw new AgentFailure("NOT_A_FILE", `${action}: the path names something that is no file`);
    mkdirSync(dirname(target), { recursive: true });
    const temporary = join(dirname(target), `.codegen-${uploadId}.part`);
    const fd = openSync(temporary, "wx", DEFAULT_MODE);
    const idle = setTimeout(() => this.#drop(uploadId), IDLE_MS);
    const upload = { target, temporary, fd, bytes: 0, hash: createHash("sha256"), idle };
    this.#open.set(uploadId, upload);
    return upload;
  }

  /** @returns whether there was no file before */
  #finish(uploadId: string, { target, temporary, fd }: Upload): boolean {
    const old = present(target);
    fchmodSync(fd, old ? old.mode & 0o7777 : DEFAULT_MODE);
    fsyncSync(fd);
    renameSync(temporary, target);
    this.#forget(uploadId);
    return old === undefined;
  }

  #drop(uploadId: string): void {
    const upload = this.#open.get(uploadId);
    this.#forget(uploadId);
    if (upload) rmSync(upload.temporary, { force: true });
  }

  #forget(uploadId: string): void {
    const upload = this.#open.get(uploadId);
    if (!upload) return;
    this.#open.delete(uploadId);
    clearTimeout(upload.idle);
    closeSync(upload.fd);
  }
}

const present = (target: string): Stats | undefined => statSync(target, { throwIfNoEntry: false });
