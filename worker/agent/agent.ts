import type { Hello, WorkerFrame } from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import type { AgentFrameInit } from "./connection.ts";
import { AgentFailure } from "./failure.ts";
import type { Fence } from "./fence.ts";
import { listFiles } from "./files/list-files.ts";
import { readFile } from "./files/read-file.ts";
import { readPart } from "./files/read-part.ts";
import { searchFiles } from "./files/search-files.ts";
import type { Uploads } from "./files/uploads.ts";
import type { WorkspacePaths } from "./files/workspace-path.ts";
import { writeFile, writeFiles } from "./files/write-files.ts";
import type { Freezer } from "./freezer.ts";
import type { WorkspaceHistory } from "./history/workspace-history.ts";
import { checkVariable, type Processes } from "./processes.ts";
import type { SessionEnvironment } from "./session-environment.ts";
import type { OwnWrites } from "./tree/own-writes.ts";
import type { TreeScan } from "./tree/tree-scan.ts";
import type { TreeUnpacking } from "./tree/tree-unpacking.ts";
import { readUsage } from "./usage.ts";

type Request = WorkerFrame["body"];
type Reply = Exclude<AgentFrameInit["body"], undefined>;

/** They change nothing, or end the wait of all others. */
const ANSWERED_ALWAYS = new Set<Request["case"]>(["hello", "vouch", "getUsage", "ping", "outputAck", "exitAck"]);
/** What may be answered while the session stands still; everything else waits until it goes on. */
const DURING_FREEZE = new Set<Request["case"]>([
  ...ANSWERED_ALWAYS,
  ...(["scanTree", "readChunks", "endScan", "unpackTree"] as const),
]);
/** What these change is not the work of the call before. */
const CHANGING = new Set<Request["case"]>(["spawn", "writeFile", "writeFiles", "writePart"]);
/** After these nobody can name the files that may have changed. */
const CHANGING_ANYTHING = new Set<Request["case"]>(["spawn", "runCode", "writePart", "unpackTree"]);

/** Answers the worker's frames, one request at a time or many: each answer carries its request's id. */
export class Agent {
  #epoch = -1n;
  #isGreeted = false;
  #connection = 0;

  constructor(
    private readonly deps: {
      bootId: string;
      version: string;
      paths: WorkspacePaths;
      /** What the worker itself keeps in a session lies in HOME, beside the workspace. */
      homePaths: WorkspacePaths;
      environment: SessionEnvironment;
      processes: Processes;
      fence: Fence;
      freezer: Freezer;
      treeScan: TreeScan;
      unpacking: TreeUnpacking;
      history: WorkspaceHistory;
      uploads: Uploads;
      ownWrites: OwnWrites;
      send: (frame: AgentFrameInit) => void;
    },
  ) {}

  /** A new connection says Hello before anything else. */
  onConnected(): void {
    this.#isGreeted = false;
    this.#connection++;
  }

  /** Before it the worker does not know what it missed: Hello is answered with all that was not acknowledged. */
  get isGreeted(): boolean {
    return this.#isGreeted;
  }

  async onFrame({ requestId, body }: WorkerFrame): Promise<void> {
    try {
      if (!ANSWERED_ALWAYS.has(body.case) && !this.deps.fence.isOpen) await this.#vouchedFor();
      const reply = await this.#answer(body);
      if (reply) this.deps.send({ requestId, body: reply });
      if (reply?.case === "hello") this.deps.processes.resend();
    } catch (error) {
      const { code, message } = toFailure(error);
      this.deps.send({ requestId, body: { case: "failure", value: { code, message } } });
    }
  }

  async #answer(body: Request): Promise<Reply | undefined> {
    const { processes, paths, homePaths, environment, freezer, treeScan, unpacking, history, uploads, ownWrites } =
      this.deps;
    if (body.case !== "hello" && !this.#isGreeted) throw new AgentFailure("INVALID_ARGUMENT", "Hello comes first");
    if (freezer.isFrozen && !DURING_FREEZE.has(body.case)) await freezer.thawed();
    if (history.isLooking && CHANGING.has(body.case)) await history.settle();
    if (CHANGING_ANYTHING.has(body.case)) ownWrites.forget();
    switch (body.case) {
      case "hello":
        return this.#greet(body.value);
      case "vouch":
        this.deps.fence.vouch(toMs(body.value.forMs));
        return undefined;
      case "getUsage":
        return { case: "usage", value: readUsage() };
      case "ping":
        return { case: "pong", value: {} };
      case "spawn":
        return { case: "spawned", value: { pid: await processes.spawn(body.value) } };
      case "runCode":
        await processes.runCode(body.value);
        return { case: "codeStarted", value: {} };
      case "stopCode":
        return { case: "codeStopped", value: await processes.stopCode(body.value) };
      case "kill":
        return { case: "killed", value: { count: await processes.kill(body.value.processId, body.value.signal) } };
      case "writeStdin":
        await processes.writeStdin(body.value);
        return { case: "stdinWritten", value: {} };
      case "outputAck":
        processes.acknowledgeOutput(body.value.processId, Number(body.value.offset));
        return undefined;
      case "exitAck":
        processes.acknowledgeExit(body.value.processId);
        return undefined;
      case "readFile":
        return { case: "fileContent", value: await readFile(body.value.inHome ? homePaths : paths, body.value) };
      case "writeFile":
        return {
          case: "fileWritten",
          value: await ownWrites.during(() => writeFile(body.value.inHome ? homePaths : paths, body.value)),
        };
      case "listFiles":
        return { case: "fileList", value: await listFiles(paths, body.value) };
      case "scanTree":
        return { case: "treeScan", value: await treeScan.scan(body.value) };
      case "readChunks":
        return { case: "chunkData", value: { data: treeScan.read(body.value) } };
      case "endScan":
        treeScan.end();
        return { case: "scanEnded", value: {} };
      case "unpackTree":
        return { case: "treeUnpacked", value: (await unpacking.unpack(body.value)) ?? {} };
      case "writeFiles":
        await ownWrites.during(() => writeFiles(paths, body.value));
        return { case: "filesWritten", value: {} };
      case "readPart":
        return { case: "filePart", value: readPart(paths, body.value) };
      case "writePart":
        return { case: "fileWritten", value: uploads.write(body.value) };
      case "searchFiles":
        return { case: "searchResult", value: await searchFiles(paths, body.value, environment.all()) };
      case "markWorkspace":
        history.mark(body.value.isSessionStart);
        return undefined;
      case "diffWorkspace":
        return { case: "workspaceChanges", value: await history.diff(body.value) };
      default:
        throw new AgentFailure("UNSUPPORTED", "The agent of this container is older than the request");
    }
  }

  /** What a worker asked for that nobody vouched for in time waits for its next word, and is void for another worker's. */
  async #vouchedFor(): Promise<void> {
    const connection = this.#connection;
    await this.deps.fence.opened();
    if (connection !== this.#connection)
      throw new AgentFailure("STALE_EPOCH", "The request came by a connection that is over");
  }

  #greet({ epoch, env, vouchedMs }: Hello): Reply {
    if (epoch < this.#epoch)
      throw new AgentFailure("STALE_EPOCH", `Epoch ${epoch} is over: this sandbox has seen epoch ${this.#epoch}`);
    for (const [name, value] of Object.entries(env)) checkVariable(name, value);
    this.#epoch = epoch;
    this.#isGreeted = true;
    this.deps.fence.vouch(toMs(vouchedMs));
    const { bootId, version, paths, environment, processes } = this.deps;
    environment.ofSession = env;
    return {
      case: "hello",
      value: { agentVersion: version, bootId, workdir: paths.workdir, processes: processes.known() },
    };
  }
}

/** 0 is without end. */
const toMs = (forMs: bigint): number => (forMs > 0n ? Number(forMs) : Number.POSITIVE_INFINITY);

const toFailure = (error: unknown): { code: string; message: string } =>
  error instanceof AgentFailure
    ? error
    : { code: "INTERNAL", message: `The agent failed: ${error instanceof Error ? error.message : String(error)}` };
