import { Counter, Histogram, type Registry } from "prom-client";
import { isFailureCode } from "../shared/failure.ts";
import { LossMetrics } from "../shared/metrics/loss-metrics.ts";
import type { EgressVerdict } from "./egress/egress-judge.ts";
import type { DeathReason } from "./sandbox/sandbox.ts";

/** How a session's container was found: `warm` in the pool, made because the pool was empty (`miss`), or of a kind that it never holds. */
export type PoolAnswer = "warm" | "miss" | "other_kind";
export type CheckpointResult = "stored" | "unchanged" | "failed";

/** `fenced`: the records said so; `frozen`: no beat got through for too long. */
type LeaseLoss = "fenced" | "frozen";

const POOL_ANSWERS: PoolAnswer[] = ["warm", "miss", "other_kind"];
const CHECKPOINT_RESULTS: CheckpointResult[] = ["stored", "unchanged", "failed"];
const DEATHS: DeathReason[] = ["oom", "exited", "removed", "unresponsive"];
const LEASE_LOSSES: LeaseLoss[] = ["fenced", "frozen"];
const EGRESS_VERDICTS: EgressVerdict[] = ["allowed", "not_listed", "not_public", "not_found"];

const LONG_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800];
const WAIT_SECONDS = [0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 45, 120, 600];

/** What the worker counts as it happens. Every label has a closed set of values; counters begin at 0, so that the first rise shows. */
export class WorkerMetrics {
  readonly #losses;
  readonly #ended;
  readonly #running;
  readonly #queued;
  readonly #firstOutput;
  readonly #streamed;
  readonly #placementWait;
  readonly #poolTakes;
  readonly #sandboxStart;
  readonly #sandboxDeaths;
  readonly #oomKills;
  readonly #leasesLost;
  readonly #checkpoints;
  readonly #checkpointBytes;
  readonly #checkpointSeconds;
  readonly #restores;
  readonly #restoreSeconds;
  readonly #egress;

  constructor(
    registry: Registry,
    /** Any other, which a coordinator of a later version may send, is counted as `unknown`. */
    private readonly isTool: (name: string) => boolean,
  ) {
    const registers = [registry];
    const counter = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
      new Counter({ name, help, labelNames, registers });
    const histogram = <Label extends string>(name: string, help: string, buckets: number[], labelNames: Label[] = []) =>
      new Histogram({ name, help, buckets, labelNames, registers });
    this.#losses = new LossMetrics(registry);
    this.#ended = counter("codegen_calls_ended_total", "Calls that ended on this worker, by tool and outcome", [
      "tool",
      "outcome",
    ]);
    this.#queued = histogram(
      "codegen_call_queued_seconds",
      "Time that calls waited, from their record to their start: in the lane, or for a worker",
      WAIT_SECONDS,
    );
    this.#running = histogram(
      "codegen_call_run_seconds",
      "Time from a call's start on this worker to its end, detached or not",
      LONG_SECONDS,
      ["tool"],
    );
    this.#firstOutput = histogram(
      "codegen_first_output_seconds",
      "Time from a process's start to its first output",
      LONG_SECONDS,
    );
    this.#streamed = counter("codegen_stream_bytes_total", "Bytes of output that were recorded", ["stream"]);
    this.#placementWait = histogram(
      "codegen_placement_wait_seconds",
      "Time that sessions stood in line until this worker took them",
      WAIT_SECONDS,
    );
    this.#poolTakes = counter(
      "codegen_pool_takes_total",
      "Containers given to sessions: warm, made because the pool was empty (miss), or of another image or network",
      ["result"],
    );
    this.#sandboxStart = histogram(
      "codegen_sandbox_start_seconds",
      "Time to make a container, until its agent answers",
      LONG_SECONDS,
    );
    this.#sandboxDeaths = counter("codegen_sandbox_deaths_total", "Containers that died by themselves, by reason", [
      "reason",
    ]);
    this.#oomKills = counter(
      "codegen_sandbox_oom_kills_total",
      "Processes during which a session's memory limit killed something, and containers that it ended",
    );
    this.#leasesLost = counter(
      "codegen_leases_lost_total",
      "Sessions that this worker lost the right to: fenced by the records, or frozen for too long",
      ["reason"],
    );
    this.#checkpoints = counter("codegen_checkpoints_total", "Checkpoints that were tried, by result", ["result"]);
    this.#checkpointBytes = counter("codegen_checkpoint_stored_bytes_total", "Bytes written for checkpoints");
    this.#checkpointSeconds = histogram(
      "codegen_checkpoint_seconds",
      "Time to take a checkpoint: scan, store, point",
      LONG_SECONDS,
    );
    this.#restores = counter("codegen_restores_total", "Containers filled from a checkpoint, by result", ["result"]);
    this.#restoreSeconds = histogram("codegen_restore_seconds", "Time to bring a session's files back", LONG_SECONDS);
    this.#egress = counter(
      "codegen_egress_requests_total",
      "Requests of sessions to reach a name, by what became of them",
      ["result"],
    );
    for (const result of EGRESS_VERDICTS) this.#egress.inc({ result }, 0);
    for (const result of POOL_ANSWERS) this.#poolTakes.inc({ result }, 0);
    for (const result of CHECKPOINT_RESULTS) this.#checkpoints.inc({ result }, 0);
    for (const result of ["restored", "failed"]) this.#restores.inc({ result }, 0);
    for (const reason of DEATHS) this.#sandboxDeaths.inc({ reason }, 0);
    for (const reason of LEASE_LOSSES) this.#leasesLost.inc({ reason }, 0);
    for (const stream of ["stdout", "stderr"]) this.#streamed.inc({ stream }, 0);
  }

  callStarted(queuedMs: number): void {
    this.#queued.observe(queuedMs / 1000);
  }

  /** @param code of its failure; undefined for a result */
  callEnded(tool: string, code: string | undefined, durationMs: number): void {
    const known = this.isTool(tool) ? tool : "unknown";
    this.#ended.inc({ tool: known, outcome: code === undefined ? "OK" : isFailureCode(code) ? code : "INTERNAL" });
    this.#running.observe({ tool: known }, durationMs / 1000);
    if (code === "OUTCOME_UNKNOWN") this.#losses.lost("OUTCOME_UNKNOWN");
  }

  /** Calls that a loss ended. */
  lost(outcome: "OUTCOME_UNKNOWN" | "SESSION_RESET", count: number): void {
    this.#losses.lost(outcome, count);
  }

  firstOutput(afterMs: number): void {
    this.#firstOutput.observe(afterMs / 1000);
  }

  output(isStderr: boolean, bytes: number): void {
    this.#streamed.inc({ stream: isStderr ? "stderr" : "stdout" }, bytes);
  }

  placed(waitedMs: number): void {
    this.#placementWait.observe(waitedMs / 1000);
  }

  poolTaken(result: PoolAnswer): void {
    this.#poolTakes.inc({ result });
  }

  sandboxStarted(durationMs: number): void {
    this.#sandboxStart.observe(durationMs / 1000);
  }

  sandboxDied(reason: DeathReason): void {
    this.#sandboxDeaths.inc({ reason });
    if (reason === "oom") this.#oomKills.inc();
  }

  /** The memory limit killed something while a process ran. */
  oomKilled(): void {
    this.#oomKills.inc();
  }

  leaseLost(reason: LeaseLoss): void {
    this.#leasesLost.inc({ reason });
  }

  checkpoint(result: CheckpointResult, durationMs: number, storedBytes = 0): void {
    this.#checkpoints.inc({ result });
    this.#checkpointBytes.inc(storedBytes);
    if (result !== "failed") this.#checkpointSeconds.observe(durationMs / 1000);
  }

  restore(result: "restored" | "failed", durationMs: number): void {
    this.#restores.inc({ result });
    if (result === "restored") this.#restoreSeconds.observe(durationMs / 1000);
  }

  egress(result: EgressVerdict): void {
    this.#egress.inc({ result });
  }
}
