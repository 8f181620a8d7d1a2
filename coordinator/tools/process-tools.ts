import { isUtf8 } from "node:buffer";
import { type CallId, callIdOf, isProcessId, type ProcessId, type SessionId, sessionOf } from "../../shared/ids.ts";
import { outputLogPath } from "../../shared/output-log-path.ts";
import type { ProcessRecord } from "../../shared/process-record.ts";
import type { Records } from "../../shared/records.ts";
import type { SessionScripts } from "../../shared/redis/session-scripts.ts";
import type { CallWatcher } from "../calls/call-watcher.ts";
import type { Caller } from "../calls/caller.ts";
import { noProcess, type SessionResolver } from "../calls/session-resolver.ts";
import { readOutput } from "./output-cursor.ts";
import { pickLines } from "./pick-lines.ts";

type Structured = Record<string, unknown>;

/** Events may be lost, so a wait for output looks by itself this often. */
const REREAD_MS = 1_000;

interface ReadArguments {
  process_id: string;
  cursor?: string;
  wait_ms: number;
  tail_lines?: number;
  grep?: string;
}

/** The tools that read processes from Redis: their output and how they ended. */
export class ProcessTools {
  constructor(
    private readonly deps: {
      scripts: SessionScripts;
      records: Records;
      resolver: SessionResolver;
      watcher: CallWatcher;
    },
  ) {}

  async readProcess(args: ReadArguments, caller: Caller): Promise<Structured> {
    const { sid, id } = await this.#own(args.process_id, caller);
    const callId = callIdOf(id);
    const until = caller.receivedAt + args.wait_ms;
    await this.deps.watcher.listen(sid);
    for (;;) {
      const changed = this.#nextEvent(sid, id, until, caller.signal);
      const process = await this.deps.records.process(sid, id);
      if (!process) throw noProcess(args.process_id);
      const page = await this.#read(sid, callId, args, process.status !== "running");
      const isNews = page.isNews || process.status !== "running";
      if (isNews || performance.now() >= until || caller.signal?.aborted) {
        changed.cancel();
        return {
          ...describe(process),
          output: page.text,
          ...(page.isLossy ? { lossy: true } : {}),
          ...paging(page, process),
          ...(await this.#log(sid, process)),
        };
      }
      await changed.promise;
    }
  }

  /** Where what was evicted can be read, as long as its session lives. */
  async #log(sid: SessionId, { id, status, evictedBefore, logBytes }: ProcessRecord): Promise<Structured> {
    const hasLog = evictedBefore > 0 && (status === "running" || logBytes > 0);
    const workdir = hasLog ? (await this.deps.records.session(sid))?.workdir : undefined;
    return workdir ? { log_path: outputLogPath(workdir, id) } : {};
  }

  /** One page; or, where lines are to be picked, whatever there is from the cursor on. */
  async #read(sid: SessionId, callId: CallId, { cursor, tail_lines: tail, grep }: ReadArguments, isOver: boolean) {
    const page = await readOutput(this.deps.records, sid, callId, cursor, isOver);
    if (tail === undefined && grep === undefined) {
      return { ...page, text: page.data.toString(), isLossy: !isUtf8(page.data), isNews: page.data.length > 0 };
    }
    const parts = [page.data];
    let last = page;
    while (last.hasMore) {
      last = await readOutput(this.deps.records, sid, callId, last.nextCursor, isOver);
      parts.push(last.data);
    }
    const text = pickLines(Buffer.concat(parts).toString(), { tail, grep });
    const isLossy = parts.some((part) => !isUtf8(part));
    return {
      nextCursor: last.nextCursor,
      hasMore: false,
      text,
      isLossy,
      isNews: parts.some((part) => part.length > 0),
    };
  }

  async listProcesses(args: { session_id?: string; limit: number }, caller: Caller): Promise<Structured> {
    const { records, resolver } = this.deps;
    const session = await resolver.record(args.session_id, caller);
    const found = await records.processes(session.id, args.limit + 1);
    const processes = await Promise.all(
      found.slice(0, args.limit).map(async (process) => {
        const command = await records.label(session.id, callIdOf(process.id));
        const started = new Date(process.startedAt).toISOString();
        return { ...describe(process), command, started_at: started, output_bytes: process.bytes };
      }),
    );
    return { processes, truncated: found.length > args.limit };
  }

  async #own(id: string, caller: Caller): Promise<{ sid: SessionId; id: ProcessId }> {
    if (!isProcessId(id)) throw noProcess(id);
    const sid = sessionOf(id);
    if (!(await this.deps.scripts.touch(sid, caller.principal))) throw noProcess(id);
    return { sid, id };
  }

  /** Resolves at the next event of the process, after `REREAD_MS`, or when the wait is over. */
  #nextEvent(sid: SessionId, id: ProcessId, until: number, signal: AbortSignal | undefined) {
    let cancel = (): void => {};
    const promise = new Promise<void>((resolve) => {
      const unwatch = this.deps.watcher.watch(sid, callIdOf(id), { onEvent: () => cancel(), onGap: () => cancel() });
      const timer = setTimeout(() => cancel(), Math.max(1, Math.min(REREAD_MS, until - performance.now())));
      cancel = (): void => {
        clearTimeout(timer);
        unwatch();
        signal?.removeEventListener("abort", cancel);
        resolve();
      };
      signal?.addEventListener("abort", cancel, { once: true });
    });
    return { promise, cancel: () => cancel() };
  }
}

const describe = ({ id, status, exitCode, signal, durationMs }: ProcessRecord): Structured => ({
  process_id: id,
  status,
  ...(status === "running" ? {} : { exit_code: exitCode, signal }),
  ...(durationMs === undefined ? {} : { duration_ms: durationMs }),
});

const paging = (page: { nextCursor: string; hasMore: boolean }, process: ProcessRecord): Structured => ({
  next_cursor: page.nextCursor,
  has_more: page.hasMore,
  ...(process.evictedBefore > 0 ? { evicted_before: process.evictedBefore } : {}),
});
