import Docker from "dockerode";
import { AgentClient } from "../../bench/agent-client.ts";
import { round } from "../../bench/sampling.ts";
import type { EmbeddedStack } from "../../compose/embedded/embedded-stack.ts";
import type { SessionId } from "../../shared/ids.ts";
import { closeRedis, createRedis, whenReady } from "../../shared/redis/connect.ts";
import { LABELS } from "../../worker/sandbox/container-spec.ts";
import { eventually } from "../support/eventually.ts";
import { inParallel } from "../support/in-parallel.ts";
import { silentLog } from "../support/silent-log.ts";
import { MemoryWatch } from "./memory-watch.ts";
import { countOf, openFiles } from "./open-files.ts";

export interface LoadOptions {
  sessions: number;
  calls: number;
  say: (text: string) => void;
  signal: AbortSignal;
}

/** What `--json` writes. */
export interface LoadFigures {
  sessions: number;
  calls: number;
  failed_calls: number;
  calls_per_second: number;
  sessions_per_second: number;
  /** What Redis keeps of a call, for an hour. */
  redis_kb_per_call: number;
  /** Per process of ours, median resident memory in MB over the second and the last quarter of the calls. */
  memory: Record<string, { second_quarter_mb: number; last_quarter_mb: number; ratio: number }>;
  file_descriptors: Record<string, { before: number; after: number }>;
  keys: { before: number; after: number };
  containers: { before: number; after: number };
}

/** Clients, which take turns with the sessions; each has one call under way. */
const CLIENTS = 24;
/** Sessions that are opened or closed at a time. */
const AT_A_TIME = 8;
/** So that code is compiled, connections are made and pools are full before anything is counted. */
const WARM_SESSIONS = 8;
const WARM_CALLS = 800;
const SETTLE_MS = 60_000;
/** Of the keys that are left, so many are named. */
const KEYS_NAMED = 20;
/** What a closed session's records have left to live. */
const CLOSING_TTL_S = 60;

/** Opens many sessions, calls in all of them in turn, closes them, and counts what is left. */
export class LoadRun {
  readonly #docker = new Docker();
  readonly #redis;
  readonly #pids: ReadonlyMap<string, number>;
  #failed = 0;

  constructor(
    private readonly stack: EmbeddedStack,
    private readonly options: LoadOptions,
  ) {
    this.#redis = createRedis(stack.redis.url, "patient", silentLog);
    const processes = [...stack.coordinators, ...stack.workers].map(({ name, pid }) => [name, pid ?? 0] as const);
    this.#pids = new Map(processes);
  }

  async run(): Promise<LoadFigures> {
    const { say, sessions: count, calls } = this.options;
    await whenReady(this.#redis);
    const agents = await Promise.all(
      Array.from({ length: CLIENTS }, (_, i) => AgentClient.connect(this.stack.urls[i % this.stack.urls.length] ?? "")),
    );
    try {
      say(`warm-up: ${WARM_CALLS} calls`);
      const warm = await this.#open(agents, WARM_SESSIONS);
      await this.#call(agents, warm, WARM_CALLS, () => {});
      await this.#close(agents, warm);
      const before = await this.#counts();
      say(`opening ${count} sessions`);
      const openedAt = performance.now();
      const sessions = await this.#open(agents, count);
      const sessionsPerSecond = (count * 1_000) / (performance.now() - openedAt);
      say(`${calls} calls`);
      let done = 0;
      const watch = new MemoryWatch(this.#pids, () => done / calls);
      watch.start();
      const bytesBefore = await this.#redisBytes();
      const calledAt = performance.now();
      await this.#call(agents, sessions, calls, () => void done++);
      const callsPerSecond = (calls * 1_000) / (performance.now() - calledAt);
      await watch.stop();
      const kbPerCall = ((await this.#redisBytes()) - bytesBefore) / calls / 1_000;
      say("closing them");
      await this.#close(agents, sessions);
      const after = await this.#settled(before);
      const left = [...after.keys].filter((key) => !before.keys.has(key)).slice(0, KEYS_NAMED);
      if (left.length > 0) say(`keys that were not there before: ${left.join(" ")}`);
      return {
        sessions: count,
        calls,
        failed_calls: this.#failed,
        calls_per_second: round(callsPerSecond),
        sessions_per_second: round(sessionsPerSecond),
        redis_kb_per_call: round(kbPerCall),
        memory: this.#memory(watch),
        file_descriptors: Object.fromEntries(
          Object.entries(after.files).map(([name, files]) => [
            name,
            { before: countOf(before.files[name] ?? {}), after: countOf(files) },
          ]),
        ),
        keys: { before: before.keys.size, after: after.keys.size },
        containers: { before: before.containers, after: after.containers },
      };
    } finally {
      await Promise.all(agents.map((agent) => agent.close()));
      await closeRedis(this.#redis);
    }
  }

  async #open(agents: AgentClient[], count: number): Promise<SessionId[]> {
    const ids: SessionId[] = [];
    const turns = Array.from({ length: count }, (_, i) => agents[i % agents.length]!);
    await inParallel(turns, AT_A_TIME, async (agent) => {
      this.options.signal.throwIfAborted();
      const { session_id: id, call_id: call } = await agent.call("create_session", { memory_mb: 64 });
      if (call !== undefined) await agent.call("get_call", { call_id: call, wait_ms: 50_000 });
      ids.push(id as SessionId);
    });
    return ids;
  }

  async #call(agents: AgentClient[], sessions: SessionId[], calls: number, onDone: () => void): Promise<void> {
    const numbers = Array.from({ length: calls }, (_, i) => i);
    await Promise.all(
      agents.map(async (agent) => {
        for (let n = numbers.pop(); n !== undefined; n = numbers.pop()) {
          this.options.signal.throwIfAborted();
          const command = `echo ${n}`;
          const { stdout } = await agent.call("run_command", { session_id: sessions[n % sessions.length], command });
          if (stdout !== `${n}\n`) this.#failed++;
          onDone();
        }
      }),
    );
  }

  async #close(agents: AgentClient[], sessions: SessionId[]): Promise<void> {
    const turns = sessions.map((session, i) => [session, agents[i % agents.length]!] as const);
    await inParallel(
      turns,
      AT_A_TIME,
      async ([session_id, agent]) => void (await agent.call("close_session", { session_id })),
    );
  }

  #memory(watch: MemoryWatch): LoadFigures["memory"] {
    const rows = [...this.#pids.keys()].map((name) => {
      const second = watch.median(name, 0.25, 0.5);
      const last = watch.median(name, 0.75, 1);
      return [name, { second_quarter_mb: second, last_quarter_mb: last, ratio: round(last / second) }] as const;
    });
    return Object.fromEntries(rows);
  }

  /** Containers are removed and sockets are closed a moment after the answer. */
  async #settled(before: Counts): Promise<Counts> {
    let last = await this.#counts();
    const isAsBefore = async (): Promise<boolean> => {
      last = await this.#counts();
      const files = Object.entries(last.files).every(
        ([name, now]) => countOf(now) <= countOf(before.files[name] ?? {}),
      );
      return files && last.keys.size <= before.keys.size && last.containers <= before.containers;
    };
    await eventually("everything is as before", isAsBefore, SETTLE_MS).catch(() => {}); // the figures say what is not
    return last;
  }

  async #counts(): Promise<Counts> {
    const files: Record<string, Record<string, number>> = {};
    for (const [name, pid] of this.#pids) files[name] = await openFiles(pid);
    const filters = { label: [`${LABELS.deployment}=${this.stack.deployment}`] };
    const containers = (await this.#docker.listContainers({ all: true, filters })).length;
    return { files, keys: await this.#lastingKeys(), containers };
  }

  async #redisBytes(): Promise<number> {
    return Number(/^used_memory:(\d+)/m.exec(await this.#redis.info("memory"))?.[1]);
  }

  /**
   * Without a closed session's, which go by themselves within a minute, or within a day where they are of its checkpoints,
   * and without finished jobs: BullMQ keeps 500 a queue.
   */
  async #lastingKeys(): Promise<Set<string>> {
    const lasting = new Set<string>();
    for await (const keys of this.#redis.scanStream({ count: 1_000 }) as AsyncIterable<string[]>) {
      const counted = keys.filter((each) => !JOB.test(each) && !OUTLIVING.test(each));
      const pipeline = this.#redis.pipeline();
      for (const key of counted) pipeline.ttl(key);
      const ttls = (await pipeline.exec()) ?? [];
      counted.forEach((key, i) => {
        const ttl = Number(ttls[i]?.[1]);
        if (ttl === -1 || ttl > CLOSING_TTL_S) lasting.add(key);
      });
    }
    return lasting;
  }
}

/** A call's, or one of the place queue. */
const JOB = /^\{cgq\}:(calls-\w+:call_|place:[^:]*\d)/;

/** Of a session, their indexes, and who sweeps them, which shows only after a while; and the audit. They outlive sessions. */
const OUTLIVING = /^cg:(\{ses_\w+\}:(ck$|k:)|checkpoints|principal:[^:]+:checkpoints$|audit)/;

interface Counts {
  files: Record<string, Record<string, number>>;
  keys: Set<string>;
  containers: number;
}
