import { mkdtemp, rm } from "node:fs/promises";
import Docker from "dockerode";
import { EmbeddedStack, type StackOptions } from "../compose/embedded/embedded-stack.ts";
import { LABELS } from "../worker/sandbox/container-spec.ts";
import { containersOf } from "./engine-rows.ts";
import { describeMachine, type Machine } from "./machine.ts";
import type { Report } from "./report.ts";
import { type Probe, type Rounds, type Row, sampleInTurns } from "./sampling.ts";

/** In the order of the table. */
export const ROW_NAMES = [
  "docker_exec_true",
  "container_create_start",
  "redis_list_round_trip",
  "bullmq_round_trip",
  "mcp_noop",
  "run_command_true",
  "run_command_python",
  "run_code_python_first",
  "run_code_python",
  "write_file",
  "read_file",
  "create_session_warm",
  "create_session_cold",
  "parallel_sleep_8",
  "calls_1",
  "calls_2",
  "calls_4",
  "calls_8",
  "calls_16",
  "calls_32",
  "coordinator_cpu",
  "worker_cpu",
  "redis_cpu",
  "idle_session_memory",
  "coordinator_memory",
  "coordinator_memory_10k",
  "worker_memory",
  "session_balance",
  "create_session_alone",
  "create_session_crowded",
  "durability_call_extra",
  "durability_call_extra_100mb",
  "create_session_restore",
];

/** Not /tmp, which lives in memory on some systems: an append-only file costs nothing there. */
const FOLDER = "/var/tmp/codegen-mcp-bench-";

/** One run: which rows it wants, those it has, and stacks to measure. */
export class Bench {
  readonly docker = new Docker();
  readonly #rows = new Map<string, Row>();
  #machine: Machine | undefined;

  constructor(
    private readonly wanted: ReadonlySet<string>,
    readonly signal: AbortSignal,
    readonly say: (text: string) => void,
  ) {}

  wants(...names: string[]): boolean {
    return names.some((name) => this.wanted.has(name));
  }

  add(...rows: Row[]): void {
    for (const row of rows) this.#rows.set(row.name, row);
  }

  /** Samples those of `probes` that are wanted, in turns. */
  async sample(probes: Probe[], rounds: Rounds): Promise<void> {
    const chosen = probes.filter(({ name }) => this.wants(name));
    if (chosen.length === 0) return;
    this.say(`${chosen.map(({ name }) => name).join(", ")}: ${rounds.rounds * rounds.perRound} samples each`);
    this.add(...(await sampleInTurns(chosen, rounds, this.signal)));
  }

  /** Measures a stack of its own, as it is shipped but for `options`. No process, container or file outlives it. */
  async withStack(
    name: string,
    options: Omit<StackOptions, "folder">,
    measure: (stack: EmbeddedStack, folder: string) => Promise<void>,
  ): Promise<void> {
    this.signal.throwIfAborted();
    this.say(`${name}: Redis, coordinator, workers`);
    const folder = await mkdtemp(FOLDER);
    let isDone = false;
    try {
      const stack = await EmbeddedStack.start({ ...options, folder });
      try {
        this.#machine ??= await describeMachine(this.docker, stack.redis.url);
        await measure(stack, folder);
      } finally {
        await stack.stop();
      }
      const left = await containersOf(this.docker, labelOf(stack), { all: true });
      if (left.length > 0) throw new Error(`the stack left ${left.length} containers behind`);
      isDone = true;
    } finally {
      if (isDone) await rm(folder, { recursive: true });
      else this.say(`its logs are in ${folder}`);
    }
  }

  report(): Report {
    if (!this.#machine) throw new Error("nothing was measured");
    return {
      machine: this.#machine,
      rows: ROW_NAMES.flatMap((name) => (this.wants(name) ? (this.#rows.get(name) ?? []) : [])),
    };
  }
}

/** What every container of a stack carries, pooled ones too. */
export const labelOf = (stack: EmbeddedStack): string => `${LABELS.deployment}=${stack.deployment}`;
