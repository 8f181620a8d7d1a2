import { existsSync } from "node:fs";
import { expect } from "chai";
import { parse } from "yaml";
import { clientConfigs } from "./client-configs.ts";

const URL = "http://127.0.0.1:8080/mcp";
const textOf = (client: string): string => clientConfigs(URL).find((config) => config.client === client)?.text ?? "";

describe("clientConfigs", () => {
  it("prints what Claude Code reads: an http server in mcpServers", () => {
    expect(JSON.parse(textOf("Claude Code"))).to.deep.equal({ mcpServers: { codegen: { type: "http", url: URL } } });
  });
  it("prints what VS Code reads: an http server in servers", () => {
    expect(JSON.parse(textOf("VS Code"))).to.deep.equal({ servers: { codegen: { type: "http", url: URL } } });
  });
  it("prints what Cursor reads: a url in mcpServers", () => {
    expect(JSON.parse(textOf("Cursor"))).to.deep.equal({ mcpServers: { codegen: { url: URL } } });
  });
  it("prints what Claude Desktop reads: a command that is there", () => {
    const { command, args } = JSON.parse(textOf("Claude Desktop")).mcpServers.codegen;
    expect([command, ...args.slice(1)]).to.deep.equal(["node", "stdio", "--url", URL]);
    expect(existsSync(args[0])).to.equal(true);
  });
  it("prints what PromptKit reads: a streamable_http server in mcp_servers", () => {
    const server = { name: "codegen", transport: "streamable_http", url: URL };
    expect(parse(textOf("PromptKit"))).to.deep.equal({ mcp_servers: [server] });
  });
});
