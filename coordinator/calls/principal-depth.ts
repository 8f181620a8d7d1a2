import { ToolFailure } from "../../shared/failure.ts";

/**
 * Bounds the requests of one principal that wait for answers on this replica, so that a client gone wild fills neither its
 * memory nor everybody's wait. What a session may hold is bounded by its lane, on all replicas together.
 */
export class PrincipalDepth {
  readonly #open = new Map<string, number>();

  constructor(private readonly limit: number) {}

  /** Counts `work` while it runs. @throws {ToolFailure} QUEUE_FULL, before it has begun */
  async count<T>(principal: string, work: () => Promise<T>): Promise<T> {
    const open = this.#open.get(principal) ?? 0;
    if (open >= this.limit) {
      throw new ToolFailure("QUEUE_FULL", `${open} of your calls wait for their answers here already`, {
        hint: "Wait for some of them to end, then repeat the call; it has not started.",
      });
    }
    this.#open.set(principal, open + 1);
    try {
      return await work();
    } finally {
      const left = (this.#open.get(principal) ?? 1) - 1;
      if (left > 0) this.#open.set(principal, left);
      else this.#open.delete(principal);
    }
  }
}
