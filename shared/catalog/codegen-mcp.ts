import { z } from "zod";
import { defineTool, idempotencyKey, sessionId, type Tool } from "./tool.ts";

/** Names, arguments and answers of AltairaLabs CodeGen-MCP: a client written for it works unchanged. */
const taskId = z.string().max(128).describe("As its ticket named it.");
const text = z.string().max(1_000_000);
/** Whatever our own tool answers that does the work. */
const output = z.object({});
const reads = { toolset: "codegen-mcp", mutates: false, destructive: false, idempotent: true, output } as const;
const writes = { toolset: "codegen-mcp", mutates: true, destructive: true, idempotent: false, output } as const;

export const codegenMcpTools: readonly Tool[] = [
  defineTool({
    ...reads,
    name: "echo",
    title: "Echo",
    description: "CodeGen-MCP's test tool: answers with the message that it was given and touches no session at all.",
    class: "record",
    input: z.strictObject({ message: text.describe("What to echo."), session_id: sessionId }),
  }),
  defineTool({
    ...reads,
    name: "fs.read",
    title: "Read file",
    description: "CodeGen-MCP's name for read_file: the text of a whole file of the workspace, and nothing beside it.",
    class: "lane",
    input: z.strictObject({ path: text.describe("Relative to the workdir."), session_id: sessionId }),
  }),
  defineTool({
    ...writes,
    name: "fs.write",
    title: "Write file",
    description: "CodeGen-MCP's name for write_file: creates or replaces a file, and says how many bytes it wrote.",
    class: "lane",
    input: z.strictObject({
      path: text.describe("Relative to the workdir."),
      content: z.string().optional().describe("Its whole content."),
      contents: z.string().optional().describe("The older name of content."),
      session_id: sessionId,
      idempotency_key: idempotencyKey,
    }),
  }),
  defineTool({
    ...reads,
    name: "fs.list",
    title: "List files",
    description: "CodeGen-MCP's name for list_files: a line for each entry of a folder, with its kind and its bytes.",
    class: "lane",
    input: z.strictObject({ path: text.optional().describe("Folder; default: the workdir."), session_id: sessionId }),
  }),
  defineTool({
    ...writes,
    name: "run.python",
    title: "Run Python",
    description:
      "Run Python code, or a Python file of the workspace, in a fresh interpreter: exit code, stdout, stderr.",
    class: "lane",
    input: z.strictObject({
      code: text.optional().describe("Source to run."),
      file: text.optional().describe("Or the file to run."),
      session_id: sessionId,
      idempotency_key: idempotencyKey,
    }),
  }),
  defineTool({
    ...writes,
    name: "pkg.install",
    openWorld: true,
    title: "Install packages",
    description: "CodeGen-MCP's name for install_packages with pip: installs Python packages for this session only.",
    class: "lane",
    input: z.strictObject({
      packages: text.describe("Names, separated by spaces."),
      session_id: sessionId,
      idempotency_key: idempotencyKey,
    }),
  }),
  defineTool({
    ...reads,
    name: "artifact.get",
    title: "Get artifact",
    description: "CodeGen-MCP's name for get_artifact: where to download a file of the workspace, or the file itself.",
    class: "record",
    input: z.strictObject({ artifact_id: text.describe("Which."), session_id: sessionId }),
  }),
  defineTool({
    ...reads,
    name: "task.get_result",
    title: "Task result",
    description: "The text that a call would have answered with, had it not outlived its wait; else its state as JSON.",
    class: "record",
    input: z.strictObject({ task_id: taskId, session_id: sessionId }),
  }),
  defineTool({
    ...reads,
    name: "task.get_status",
    title: "Task status",
    description:
      "How far a call is, as JSON: queued, dispatched, running, completed or failed, and since when it is so.",
    class: "record",
    input: z.strictObject({ task_id: taskId, session_id: sessionId }),
  }),
];
