import { z } from "zod";
import { getCall, listCalls } from "./calls.ts";
import { listFiles, readFile, writeFile } from "./files.ts";
import { killProcess, listProcesses, readProcess, runCommand } from "./processes.ts";
import { closeSession, createSession, getSession, listSessions } from "./sessions.ts";
import type { Tool } from "./tool.ts";

/** Every tool, in the order that `tools/list` shows. */
export const tools: readonly Tool[] = [
  createSession,
  getSession,
  listSessions,
  closeSession,
  runCommand,
  readProcess,
  killProcess,
  listProcesses,
  readFile,
  writeFile,
  listFiles,
  getCall,
  listCalls,
];

const byName = new Map(tools.map((tool) => [tool.name, tool]));
export const findTool = (name: string): Tool | undefined => byName.get(name);

type ObjectSchema = { type: "object"; [key: string]: unknown };
const inputSchema = (schema: z.ZodObject): ObjectSchema => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input" });
  return rest as ObjectSchema;
};
/** Open: a newer worker may answer with a field that this coordinator does not know yet. */
const outputSchema = (schema: z.ZodObject): ObjectSchema => {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, {
    override: ({ jsonSchema }) => {
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    },
  });
  return rest as ObjectSchema;
};

/** `tools/list` as it goes on the wire, built once. */
export const toolList = tools.map(({ name, title, description, mutates, destructive, idempotent, input, output }) => ({
  name,
  title,
  description,
  inputSchema: inputSchema(input),
  outputSchema: outputSchema(output),
  annotations: {
    readOnlyHint: !mutates,
    destructiveHint: destructive,
    idempotentHint: idempotent,
    openWorldHint: false,
  },
}));

export * from "./tool.ts";
export {
  closeSession,
  createSession,
  getCall,
  getSession,
  killProcess,
  listCalls,
  listFiles,
  listProcesses,
  listSessions,
  readFile,
  readProcess,
  runCommand,
  writeFile,
};
