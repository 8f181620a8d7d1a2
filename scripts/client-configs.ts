import { fileURLToPath } from "node:url";

/** How one MCP client is told of a server: where the text goes, and the text. */
export interface ClientConfig {
  client: string;
  where: string;
  text: string;
}

const CLI = fileURLToPath(new URL("./cli/main.js", import.meta.url)); // built beside this
const json = (value: unknown): string => JSON.stringify(value, null, 2);

/** Ready to paste, for the clients that most people use. */
export const clientConfigs = (url: string): ClientConfig[] => [
  {
    client: "Claude Code",
    where: `\`.mcp.json\` in your project, or run: claude mcp add --transport http codegen ${url}`,
    text: json({ mcpServers: { codegen: { type: "http", url } } }),
  },
  { client: "VS Code", where: "`.vscode/mcp.json`", text: json({ servers: { codegen: { type: "http", url } } }) },
  { client: "Cursor", where: "`.cursor/mcp.json`", text: json({ mcpServers: { codegen: { url } } }) },
  {
    client: "Claude Desktop",
    where: "`claude_desktop_config.json`; it can only start commands",
    text: json({ mcpServers: { codegen: { command: "node", args: [CLI, "stdio", "--url", url] } } }),
  },
  {
    client: "PromptKit",
    where: "under `spec:` of your arena or runtime configuration",
    text: `mcp_servers:\n  - name: codegen\n    transport: streamable_http\n    url: ${url}`,
  },
];
