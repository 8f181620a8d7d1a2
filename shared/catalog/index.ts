import { getArtifact, listArtifacts, putArtifact } from "./artifacts.ts";
import { getCall, listCalls } from "./calls.ts";
import { createCheckpoint, deleteCheckpoint, forkSession, listCheckpoints, restoreCheckpoint } from "./checkpoints.ts";
import { CHECK_KINDS, runChecks, runTests, TEST_FRAMEWORKS } from "./checks.ts";
import { runCode } from "./code.ts";
import { codegenMcpTools } from "./codegen-mcp.ts";
import { conformanceTools } from "./conformance.ts";
import { applyPatch, diffWorkspace, editFile, listFiles, readFile, searchFiles, writeFile } from "./files.ts";
import { installPackages } from "./packages.ts";
import { killProcess, listProcesses, readProcess, runCommand, writeProcess } from "./processes.ts";
import { closeSession, createSession, getSession, listSessions } from "./sessions.ts";
import type { Tool } from "./tool.ts";
import { offeredBy, type Toolset } from "./toolsets.ts";
import { inputSchema, outputSchema } from "./wire-schema.ts";

/** Every tool, in the order that `tools/list` shows. */
export const tools: readonly Tool[] = [
  createSession,
  getSession,
  listSessions,
  closeSession,
  runCommand,
  runCode,
  readProcess,
  writeProcess,
  killProcess,
  listProcesses,
  runTests,
  runChecks,
  installPackages,
  readFile,
  writeFile,
  editFile,
  applyPatch,
  listFiles,
  searchFiles,
  diffWorkspace,
  listArtifacts,
  getArtifact,
  putArtifact,
  getCall,
  listCalls,
  createCheckpoint,
  listCheckpoints,
  restoreCheckpoint,
  deleteCheckpoint,
  forkSession,
  ...codegenMcpTools,
];

const known = [...tools, ...conformanceTools];
const byName = new Map(known.map((tool) => [tool.name, tool]));
export const findTool = (name: string): Tool | undefined => byName.get(name);

/** One tool as it goes on the wire. */
const listed = ({ name, title, description, mutates, destructive, idempotent, openWorld, ...tool }: Tool) => ({
  name,
  title,
  description,
  inputSchema: tool.schema ?? inputSchema(tool.input),
  outputSchema: outputSchema(tool.output),
  annotations: {
    readOnlyHint: !mutates,
    destructiveHint: destructive,
    idempotentHint: idempotent,
    openWorldHint: openWorld ?? false,
  },
});
const wireTools = known.map((tool) => ({ toolset: tool.toolset, tool: listed(tool) }));

/** `tools/list` of a choice of toolsets. Build it once a choice, not once a request. */
export const toolList = (chosen: readonly Toolset[]): ReturnType<typeof listed>[] => {
  const offered = offeredBy(chosen);
  return wireTools.filter(({ toolset }) => offered.has(toolset)).map(({ tool }) => tool);
};

export { receiveFile, sendFile } from "./artifacts.ts";
export { LANGUAGES } from "./code.ts";
export { CONFORMANCE_WAIT_MS } from "./conformance.ts";
export { PACKAGE_MANAGERS } from "./packages.ts";
export { IMAGE_NAME, NETWORKS } from "./sessions.ts";
export * from "./tool.ts";
export * from "./toolsets.ts";
export {
  CHECK_KINDS,
  closeSession,
  createCheckpoint,
  createSession,
  deleteCheckpoint,
  forkSession,
  getArtifact,
  getCall,
  getSession,
  installPackages,
  killProcess,
  listArtifacts,
  listCalls,
  listCheckpoints,
  listFiles,
  listProcesses,
  listSessions,
  putArtifact,
  readFile,
  readProcess,
  restoreCheckpoint,
  runChecks,
  runCode,
  runCommand,
  runTests,
  TEST_FRAMEWORKS,
  writeFile,
  writeProcess,
};
