import { readFileSync } from "node:fs";
import { join } from "node:path";

/** By name, as they stand in the agent's volume: the agent's bundle, and the programs that interpreters run. */
export type AgentFiles = ReadonlyMap<string, Buffer>;

/** The agent itself; the others are its interpreters' programs (worker/agent/interpreters/). */
export const AGENT_FILE = "agent.cjs";
const NAMES = [AGENT_FILE, "interpreter.cjs", "interpreter.py", "interpreter.sh"];

/** @param folder where scripts/build puts them, such as dist/worker/agent */
export const readAgentFiles = (folder: string): AgentFiles =>
  new Map(NAMES.map((name) => [name, readFileSync(join(folder, name))]));
