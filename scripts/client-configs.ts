/** How one MCP client is told of a server: where the text goes, and the text. */
export interface ClientConfig {
  client: string;
  where: string;
  text: string;
}

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
    client: "PromptKit",
    where: "under `spec:` of your arena or runtime configuration",
    text: `mcp_servers:\n  - name: codegen\n    transport: streamable_http\n    url: ${url}`,
  },
];
