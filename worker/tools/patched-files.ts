import { posix } from "node:path";
import { MAX_FILE_BYTES } from "../../shared/catalog/index.ts";
import { ToolFailure } from "../../shared/failure.ts";
import { applyHunks } from "../edits/apply-hunks.ts";
import { toBytes } from "../edits/byte-text.ts";
import { type FilePatch, Reject } from "../edits/patch.ts";
import type { Sandbox } from "../sandbox/sandbox.ts";
import { type EditedFile, readForEdit } from "./edited-file.ts";

/** New contents travel in one frame. */
const TOTAL_MAX_BYTES = 12 * 1024 * 1024;
/** What is there may be no file that can be patched: then a patch is refused for it, like for a line that differs. */
const REJECTED = new Set(["NOT_FOUND", "NOT_A_FILE", "NOT_A_DIRECTORY", "FILE_TOO_LARGE"]);

interface PatchedFile {
  path: string;
  /** Undefined: there is none. */
  before: EditedFile | undefined;
  /** Undefined: there is none any more. */
  content: string | undefined;
  mode: number;
}

/** The files of one patch as they will be; nothing is written before `write`. */
export class PatchedFiles {
  readonly #files = new Map<string, PatchedFile>();

  constructor(private readonly sandbox: Sandbox) {}

  /** @throws {Reject} when this part cannot be applied exactly */
  async apply({ op, path, oldPath, mode, hunks }: FilePatch): Promise<void> {
    const source = await this.#file(oldPath);
    if (op === "create") {
      if (source.content !== undefined) throw new Reject("it is there already");
      Object.assign(source, { content: applyHunks("", hunks), mode: mode ?? 0 });
      return;
    }
    if (source.content === undefined) throw new Reject("there is no such file");
    const content = applyHunks(source.content, hunks);
    if (op === "update") Object.assign(source, { content, mode: mode ?? source.mode });
    else if (op === "delete") {
      if (hunks.length > 0 && content !== "") throw new Reject("it holds more than the patch removes");
      source.content = undefined;
    } else {
      const target = await this.#file(path);
      if (target.content !== undefined) throw new Reject(`"${path}", which it would become, is there already`);
      Object.assign(target, { content, mode: mode ?? source.mode });
      source.content = undefined;
    }
  }

  /** All files, or none. @throws {ToolFailure} STALE_FILE when one changed since it was read */
  async write(): Promise<void> {
    const changed = [...this.#files.values()].filter(
      ({ before, content, mode }) => content !== before?.content || mode !== (before?.mode ?? mode),
    );
    const total = changed.reduce((sum, { content }) => sum + (content?.length ?? 0), 0);
    const largest = Math.max(0, ...changed.map(({ content }) => content?.length ?? 0));
    if (total > TOTAL_MAX_BYTES || largest > MAX_FILE_BYTES)
      throw new ToolFailure(
        "FILE_TOO_LARGE",
        `The patch makes ${total} bytes of files; one may have ${MAX_FILE_BYTES}`,
        {
          hint: `Patch fewer files at once, ${TOTAL_MAX_BYTES} bytes in all at most.`,
        },
      );
    if (changed.length === 0) return;
    await this.sandbox.writeFiles(
      changed.map(({ path, before, content, mode }) => ({
        ...{ path, mode, remove: content === undefined },
        content: toBytes(content ?? ""),
        ifSha256: before?.sha256 ?? "absent",
      })),
    );
  }

  async #file(path: string): Promise<PatchedFile> {
    const { workdir } = this.sandbox;
    const key = posix.relative(workdir, posix.resolve(workdir, path));
    const known = this.#files.get(key);
    if (known) return known;
    const before = await this.#read(path);
    const file = { path, before, content: before?.content as string | undefined, mode: before?.mode ?? 0 };
    this.#files.set(key, file);
    return file;
  }

  async #read(path: string): Promise<EditedFile | undefined> {
    try {
      return await readForEdit(this.sandbox, path);
    } catch (error) {
      if (!(error instanceof ToolFailure) || !REJECTED.has(error.code)) throw error;
      if (error.code === "NOT_FOUND") return undefined;
      throw new Reject(error.message);
    }
  }
}
