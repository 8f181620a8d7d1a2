import type { AgentClient } from "./agent-client.ts";
import type { Probe } from "./sampling.ts";

const TEXT = "def area(width, height):\n    return width * height\n".repeat(20); // 1 KB

/** Single calls over MCP, whole: client, HTTP, coordinator, queue, worker, container and back. */
export const callProbes = (agent: AgentClient): Probe[] => {
  let count = 0;
  return [
    { name: "mcp_noop", sample: () => agent.call("list_sessions", { limit: 1 }) },
    { name: "run_command_true", sample: () => agent.run("true") },
    { name: "run_command_python", sample: () => agent.run(`python3 -c 'print(${++count})'`) },
    {
      name: "run_code_python_first",
      sample: () => agent.use("run_code", { language: "python", code: "6 * 7", context: "first" }),
      restore: () => agent.use("run_code", { language: "python", context: "first", reset: true }),
    },
    { name: "run_code_python", sample: () => agent.use("run_code", { language: "python", code: `${++count} * 7` }) },
    {
      name: "write_file",
      sample: () => agent.use("write_file", { path: "area.py", content: `# ${++count}\n${TEXT}` }),
    },
    { name: "read_file", sample: () => agent.use("read_file", { path: "area.py" }) },
  ];
};
