import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

type Structured = Record<string, unknown>;

const CALL_TIMEOUT_MS = 60_000;

/** One agent as the product sees it: the MCP SDK's client over HTTP, with a session of its own. */
export class AgentClient {
  readonly #client = new Client({ name: "codegen-mcp-bench", version: "1" }, { versionNegotiation: { mode: "auto" } });
  #session = "";

  private constructor() {}

  static async connect(url: string, token?: string): Promise<AgentClient> {
    const agent = new AgentClient();
    const requestInit = token ? { headers: { authorization: `Bearer ${token}` } } : {};
    await agent.#client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
    await agent.#client.listTools(); // the client checks each result against the tool's output schema, as agents do
    return agent;
  }

  /** @throws {Error} when the tool failed */
  async call(name: string, args: Structured = {}): Promise<Structured> {
    const result = await this.#client.callTool({ name, arguments: args }, { timeout: CALL_TIMEOUT_MS });
    if (result.isError) throw new Error(`${name} failed: ${JSON.stringify(result.structuredContent)}`);
    return result.structuredContent as Structured;
  }

  /** A call in this agent's session. */
  async use(name: string, args: Structured = {}): Promise<Structured> {
    return await this.call(name, { ...args, session_id: this.#session });
  }

  /** @throws {Error} unless the command ran and ended with 0 */
  async run(command: string): Promise<Structured> {
    const result = await this.use("run_command", { command });
    if (result.exit_code !== 0) throw new Error(`"${command}" did not run well: ${JSON.stringify(result)}`);
    return result;
  }

  /** @returns the new session's id, which `use` names from now on */
  async open(args: Structured = {}): Promise<string> {
    const { session_id: id } = await this.call("create_session", args);
    if (typeof id !== "string") throw new Error("create_session did not end in time");
    this.#session = id;
    return id;
  }

  async endSession(): Promise<void> {
    await this.use("close_session");
  }

  async close(): Promise<void> {
    await this.#client.close();
  }
}

/** `count` agents, each with an open session and its first command behind it. */
export const openAgents = async (url: string, count: number): Promise<AgentClient[]> =>
  await Promise.all(
    Array.from({ length: count }, async () => {
      const agent = await AgentClient.connect(url);
      await agent.open();
      await agent.run("true");
      return agent;
    }),
  );
