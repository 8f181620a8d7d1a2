import { eventually } from "./eventually.ts";
import { connectModern, type ToolAnswer, type ToolClient } from "./tool-client.ts";

/** For runners that take a second on a quiet machine. */
const PATIENCE_MS = 600_000;

/** A session of one test with files in it, and its tools. */
export class TestProject {
  private constructor(
    private readonly client: ToolClient,
    readonly sessionId: string,
  ) {}

  static async make(client: ToolClient, image: string, files: Record<string, string>): Promise<TestProject> {
    const { structured, text } = await client.call("create_session", { image, memory_mb: 1024, cpus: 2 });
    if (typeof structured.session_id !== "string") throw new Error(text);
    const project = new TestProject(client, structured.session_id);
    for (const [path, content] of Object.entries(files)) await project.write(path, content);
    return project;
  }

  async call(tool: string, args: Record<string, unknown> = {}): Promise<ToolAnswer> {
    return await this.client.call(tool, { session_id: this.sessionId, ...args });
  }

  async write(path: string, content: string): Promise<void> {
    const { isError, text } = await this.call("write_file", { path, content });
    if (isError) throw new Error(text);
  }

  /** Waits for the end however long it takes. @throws when the call failed */
  async done(tool: string, args: Record<string, unknown> = {}): Promise<Done> {
    const limit = tool === "run_tests" ? { timeout_ms: PATIENCE_MS } : {};
    let answer = await this.call(tool, { wait_ms: 50_000, ...limit, ...args });
    while (["queued", "running"].includes(String(answer.structured.status))) {
      const { structured } = await this.client.call("get_call", {
        call_id: answer.structured.call_id,
        wait_ms: 50_000,
      });
      if (structured.failure) throw new Error(JSON.stringify(structured.failure));
      if (structured.result) answer = { ...answer, structured: structured.result as Record<string, unknown> };
    }
    if (answer.isError) throw new Error(answer.text);
    return { ...(answer.structured as unknown as Done), text: answer.text };
  }

  /** Starts a test run, kills it once `file` is there, and gives what it tells. */
  async killedOnce(file: string): Promise<Done> {
    const { structured } = await this.call("run_tests", { wait_ms: 0, timeout_ms: PATIENCE_MS });
    await eventually(
      `${file} is written`,
      async () => !(await this.call("read_file", { path: file })).isError,
      PATIENCE_MS,
    );
    await this.call("kill_process", { process_id: String(structured.call_id).replace(/^call_/, "proc_") });
    const call = await this.call("get_call", { call_id: structured.call_id, wait_ms: 50_000 });
    return { ...(call.structured.result as unknown as Done), text: call.text };
  }

  async close(): Promise<void> {
    await this.call("close_session");
  }
}

export interface Failure {
  id: string;
  file?: string;
  line?: number;
  message: string;
}
export interface Diagnostic {
  file: string;
  line: number;
  column?: number;
  severity: string;
  rule?: string;
  message: string;
}

/** What run_tests and run_checks tell. */
export interface Done {
  status: string;
  framework: string;
  summary: { total: number; passed: number; failed: number; skipped: number; errors: number; duration_ms: number };
  failures: Failure[];
  delta?: { newly_failing: string[]; fixed: string[] };
  diagnostics: Diagnostic[];
  checks: { name: string; status: string; message?: string }[];
  output?: string;
  notice?: string;
  truncated?: boolean;
  process_id: string;
  exit_code: number | null;
  text: string;
}

/** Makes projects for the tests of one `describe`, each in a session of its own that ends with its test. */
export const useProjects = (cluster: { readonly url: string }) => {
  let client: ToolClient | undefined;
  const made: TestProject[] = [];
  before(async () => {
    client = await connectModern(cluster.url);
  });
  afterEach(async () => {
    await Promise.all(made.splice(0).map((project) => project.close()));
  });
  after(() => client?.close());
  return async (image: string, files: Record<string, string>): Promise<TestProject> => {
    const project = await TestProject.make(client!, image, files);
    made.push(project);
    return project;
  };
};
