import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  DiffWorkspaceSchema,
  FileChangeSchema,
  FileContent,
  FileList,
  FilePart,
  FileWritten,
  ListFilesSchema,
  ReadChunksSchema,
  ReadFileSchema,
  ReadPartSchema,
  ScanTreeSchema,
  SearchFilesSchema,
  SearchResult,
  TreeScan,
  TreeUnpacked,
  UnpackTreeSchema,
  WorkspaceChanges,
  WriteFileSchema,
  WritePartSchema,
} from "../../proto/gen/codegen/agent/v1/agent_pb.ts";
import type { AgentLink } from "./agent-link.ts";

const FILE_TIMEOUT_MS = 60_000;

export type AgentRequest = AgentLink["request"];

/** What a sandbox's agent does with files: of the workspace for tools, of the whole home for checkpoints. */
export abstract class SandboxFiles {
  protected abstract readonly request: AgentRequest;

  async readFile(request: MessageInitShape<typeof ReadFileSchema>): Promise<FileContent> {
    return await this.request({ case: "readFile", value: request }, "fileContent", FILE_TIMEOUT_MS);
  }

  async writeFile(request: MessageInitShape<typeof WriteFileSchema>): Promise<FileWritten> {
    const body = { case: "writeFile", value: request } as const;
    return await this.request(body, "fileWritten", FILE_TIMEOUT_MS, { isMutating: true });
  }

  async listFiles(request: MessageInitShape<typeof ListFilesSchema>): Promise<FileList> {
    return await this.request({ case: "listFiles", value: request }, "fileList", FILE_TIMEOUT_MS);
  }

  /** The session stands still from now on until the scan ended, see agent.proto. */
  async scanTree(request: MessageInitShape<typeof ScanTreeSchema>): Promise<TreeScan> {
    return await this.request({ case: "scanTree", value: request }, "treeScan", FILE_TIMEOUT_MS);
  }

  async readChunks(request: MessageInitShape<typeof ReadChunksSchema>): Promise<Uint8Array> {
    const body = { case: "readChunks", value: request } as const;
    return (await this.request(body, "chunkData", FILE_TIMEOUT_MS)).data;
  }

  async endScan(): Promise<void> {
    await this.request({ case: "endScan", value: {} }, "scanEnded", FILE_TIMEOUT_MS);
  }

  /** @param data the content, in parts; it goes in place of the request's own */
  async unpackTree(
    request: MessageInitShape<typeof UnpackTreeSchema>,
    data: readonly Uint8Array[] = [],
  ): Promise<TreeUnpacked> {
    const body = { case: "unpackTree", value: request } as const;
    return await this.request(body, "treeUnpacked", FILE_TIMEOUT_MS, { isMutating: true, data });
  }

  /** All of the changes, or none. */
  async writeFiles(changes: MessageInitShape<typeof FileChangeSchema>[]): Promise<void> {
    const body = { case: "writeFiles", value: { changes } } as const;
    await this.request(body, "filesWritten", FILE_TIMEOUT_MS, { isMutating: true });
  }

  async readPart(request: MessageInitShape<typeof ReadPartSchema>): Promise<FilePart> {
    return await this.request({ case: "readPart", value: request }, "filePart", FILE_TIMEOUT_MS);
  }

  async writePart(request: MessageInitShape<typeof WritePartSchema>): Promise<FileWritten> {
    const body = { case: "writePart", value: request } as const;
    return await this.request(body, "fileWritten", FILE_TIMEOUT_MS, { isMutating: true });
  }

  async searchFiles(request: MessageInitShape<typeof SearchFilesSchema>): Promise<SearchResult> {
    return await this.request({ case: "searchFiles", value: request }, "searchResult", FILE_TIMEOUT_MS);
  }

  async diffWorkspace(request: MessageInitShape<typeof DiffWorkspaceSchema>): Promise<WorkspaceChanges> {
    return await this.request({ case: "diffWorkspace", value: request }, "workspaceChanges", FILE_TIMEOUT_MS);
  }
}
