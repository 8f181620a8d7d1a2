#!/usr/bin/env node
import { parseArgs } from "node:util";
import { callTool, UsageError } from "./call-tool.ts";
import { bridgeStdio } from "./stdio-bridge.ts";

const USAGE = `codegen-mcp stdio                      serve an MCP client over stdin and stdout
codegen-mcp call TOOL key=value …      call a tool and print what it says
Options: --url URL   (default: CODEGEN_MCP_URL, or http://127.0.0.1:8080/mcp)
         --token T   bearer token (default: CODEGEN_MCP_TOKEN, which other users of this machine do not see)
         --json      print the structured result`;

const fail = (message: string): never => {
  process.stderr.write(`${message}\n`);
  process.exit(2);
};

const run = async (): Promise<number> => {
  const options = {
    url: { type: "string" },
    token: { type: "string" },
    json: { type: "boolean" },
    help: { type: "boolean" },
  } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const url = values.url ?? (process.env.CODEGEN_MCP_URL || "http://127.0.0.1:8080/mcp");
  const token = values.token ?? process.env.CODEGEN_MCP_TOKEN ?? "";
  const [command, tool, ...pairs] = positionals;
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  if (command === "stdio" && !tool) {
    await bridgeStdio(url, token, { input: process.stdin, output: process.stdout });
    return 0;
  }
  if (command !== "call" || !tool) return fail(USAGE);
  const onText = (text: string): void => void process.stderr.write(text);
  const { isError, text, structured } = await callTool(url, token, { tool, pairs, onText });
  console.log(values.json ? JSON.stringify(structured, null, 2) : text);
  return isError ? 1 : 0;
};

process.stdout.on("error", () => process.exit(0)); // the client went away
try {
  process.exit(await run()); // also where a stream is still listened to
} catch (error) {
  fail(error instanceof UsageError || error instanceof TypeError ? error.message : String((error as Error).stack));
}
