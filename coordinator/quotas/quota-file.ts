import { z } from "zod";

const most = z.int().min(0).nullable().optional();

/** What one principal may have; what is left out, or null, has no limit. */
const Limits = z.strictObject({
  /** At a time. */
  sessions: most,
  /** That wait or run, those that go on after their answer as well. */
  open_calls: most,
  /** As many may come at once after a pause. */
  calls_per_minute: z.int().min(1).max(1_000_000).nullable().optional(),
  /** Of all its sessions, by the hour of the clock (UTC). */
  cpu_seconds_per_hour: z.number().min(0).nullable().optional(),
  /** By its checkpoints. */
  stored_bytes: most,
  /** Turns in the line for a worker, against others' 1. */
  weight: z.number().min(0.01).max(100).optional(),
});
export type Quota = z.infer<typeof Limits>;

const File = z.strictObject({ default: Limits.default({}), principals: z.record(z.string(), Limits).default({}) });

/** The quotas of a file's text: those of everybody, and what some principals have instead. */
export class QuotaFile {
  readonly #default: Quota;
  readonly #own: Map<string, Quota>;

  /** @throws {Error} that names what is malformed */
  constructor(text: string) {
    const parsed = File.safeParse(JSON.parse(text));
    if (!parsed.success) throw new Error(z.prettifyError(parsed.error));
    this.#default = parsed.data.default;
    this.#own = new Map(
      Object.entries(parsed.data.principals).map(([principal, own]) => [principal, { ...this.#default, ...own }]),
    );
  }

  of(principal: string): Quota {
    return this.#own.get(principal) ?? this.#default;
  }

  /** Whether anybody's cpu time counts. */
  get countsCpu(): boolean {
    return [this.#default, ...this.#own.values()].some(({ cpu_seconds_per_hour: most }) => typeof most === "number");
  }
}
