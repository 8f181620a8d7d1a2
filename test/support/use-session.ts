import { type CallId, newCallId, newSessionId, type SessionId } from "../../shared/ids.ts";
import { Records } from "../../shared/records.ts";
import { type Lease, SessionScripts } from "../../shared/redis/session-scripts.ts";
import { useRedis } from "./use-redis.ts";

export const WORKER = "w_one";
export const EVENT = Buffer.from("event");

/** A session of ann's that waits for a worker, new before each test, and what owners and coordinators do with its records. */
export const useSession = () => {
  const server = useRedis();
  let scripts: SessionScripts;
  let records: Records;
  let sid: SessionId;
  beforeEach(async () => {
    scripts = new SessionScripts(server.redis);
    records = new Records(server.redis);
    sid = newSessionId();
    const create = { callId: newCallId(sid), args: "{}", waitMs: 1_000, key: "", argsHash: "h" };
    await scripts.open(sid, create, { principal: "ann", memory_mb: 512, cpus: 1, idle_ms: 60_000, env: "{}" });
  });

  const submit = async (tool: string, over: Partial<Parameters<SessionScripts["submit"]>[1]> = {}) =>
    await scripts.submit(sid, {
      callId: newCallId(sid),
      principal: "ann",
      tool,
      class: "lane",
      mutates: tool !== "read_file",
      args: '{"a":1}',
      argsHash: "h",
      key: "",
      waitMs: 1_000,
      maxDepth: 10,
      label: "",
      ...over,
    });
  const queued = async (tool: string, over = {}): Promise<CallId> => {
    const submitted = await submit(tool, over);
    if (submitted.kind !== "queued") throw new Error(`not queued: ${submitted.kind}`);
    return submitted.callId;
  };
  /** Claims the session and ends its create call, so that its lane is free. */
  const claimed = async (): Promise<Lease> => {
    const lease = { worker: WORKER, epoch: await scripts.claim(sid, WORKER) };
    const { calls } = await scripts.next(sid, lease);
    for (const { callId } of calls)
      await scripts.finish(sid, lease, { callId, state: "done", outcome: '{"result":{}}', event: EVENT });
    return lease;
  };
  return {
    server,
    submit,
    queued,
    claimed,
    get scripts(): SessionScripts {
      return scripts;
    },
    get records(): Records {
      return records;
    },
    get sid(): SessionId {
      return sid;
    },
  };
};

/** Ids of those calls that the owner is told to start. */
export const started = ({ calls }: { calls: { callId: CallId; start?: unknown }[] }): CallId[] =>
  calls.filter((call) => call.start).map((call) => call.callId);
