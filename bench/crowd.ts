import { parentPort, workerData } from "node:worker_threads";
import { AgentClient } from "./agent-client.ts";

/** A thread of its own: what is measured beside it must not wait for its client. Asks once, and says when it has. */
const { url, token, count } = workerData as { url: string; token: string; count: number };
const agent = await AgentClient.connect(url, token);
for (let i = 0; i < count; i++) agent.call("create_session", { memory_mb: 64 }).catch(() => {}); // most are refused
parentPort?.postMessage("asked");
