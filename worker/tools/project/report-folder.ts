import { CONTAINER_PATHS } from "../../sandbox/container-spec.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import type { CallContext } from "../../session/owned-session.ts";
import { KEPT, readKept, writeKept } from "./kept-files.ts";

/** Of one report; with its fields it fits into a frame. */
const MAX_REPORT_BYTES = 12 * 1024 * 1024;

/** A report could not be read as what it should be. */
export class ReportError extends Error {
  override readonly name = "ReportError";
}

/** Where the runner of one call leaves its reports, in the session's HOME. */
export class ReportFolder {
  readonly #folder: string;

  constructor(
    private readonly sandbox: Sandbox,
    private readonly call: Pick<CallContext, "callId" | "workspace">,
  ) {
    const { callId } = call;
    this.#folder = `${KEPT}/reports/${callId}`;
  }

  get path(): string {
    return `${CONTAINER_PATHS.home}/${this.#folder}`;
  }

  /** Makes the folder; goes before the command. Those of runs that have long ended are removed. */
  get preparation(): string {
    const parent = `${CONTAINER_PATHS.home}/${KEPT}/reports`;
    return (
      `export REPORTS=${this.path} CODEGEN_REPORT=${this.path}/lines; mkdir -p "$REPORTS" || exit 125\n` +
      `find ${parent} -mindepth 1 -maxdepth 1 -mmin +60 -exec rm -rf {} + 2>/dev/null`
    );
  }

  /** Puts a helper beside the reports. */
  async put(name: string, content: string): Promise<void> {
    await writeKept(this.sandbox, `reports/${this.#folder.split("/").at(-1)}/${name}`, content);
  }

  /** A report that must be whole. @returns undefined where there is none. @throws {ReportError} when it is too large */
  async whole(name: string): Promise<Buffer | undefined> {
    const file = await this.#read(name);
    if (file?.isCut) throw new ReportError(`the report has more than ${MAX_REPORT_BYTES / 1024 / 1024} MiB`);
    return file?.content;
  }

  /** A report of lines; of one that is too large, the first of them. @returns undefined where there is none */
  async lines(name: string): Promise<{ lines: string[]; isCut: boolean } | undefined> {
    const file = await this.#read(name);
    return file && { lines: file.content.toString().split("\n"), isCut: file.isCut };
  }

  async #read(name: string): Promise<{ content: Buffer; isCut: boolean } | undefined> {
    const file = await readKept(this.sandbox, `reports/${this.call.callId}/${name}`, MAX_REPORT_BYTES);
    return file && { ...file, content: this.call.workspace.masked(file.content) };
  }
}
