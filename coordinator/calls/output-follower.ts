import type { SessionEvent } from "../../proto/gen/codegen/events/v1/events_pb.ts";
import type { CallId, SessionId } from "../../shared/ids.ts";
import type { Records } from "../../shared/records.ts";

const BATCH = 16;

/**
 * Passes one call's output on in order and without gaps: live chunks when each follows the last, else the process's
 * stream, which is the record.
 */
export class OutputFollower {
  #epoch = 0n;
  #sequence = 0n;
  #reading: Promise<void> | undefined;
  #again = false;

  constructor(
    private readonly deps: { records: Records; onChunk: (data: Buffer, isStderr: boolean) => void },
    private readonly sid: SessionId,
    private readonly callId: CallId,
  ) {}

  onEvent(event: SessionEvent): void {
    if (event.body.case === "output" && !this.#reading) {
      const { sequence, data, isStderr } = event.body.value;
      const isNext = event.epoch === this.#epoch || this.#epoch === 0n ? sequence === this.#sequence + 1n : false;
      if (isNext) {
        this.#epoch = event.epoch;
        this.#sequence = sequence;
        this.deps.onChunk(Buffer.from(data), isStderr);
        return;
      }
    }
    if (event.body.case === "output" || event.body.case === "wake") void this.catchUp();
  }

  /** Reads what the stream has beyond the last chunk. Resolves when there is no more; a failing read is not told. */
  async catchUp(): Promise<void> {
    this.#again = true;
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  async #read(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      const after = this.#epoch === 0n ? undefined : `${this.#epoch}-${this.#sequence}`;
      const entries = await this.deps.records.output(this.sid, this.callId, after, BATCH).catch(() => []);
      for (const { id, data, isStderr } of entries) {
        const [epoch, sequence] = id.split("-");
        this.#epoch = BigInt(epoch ?? 0);
        this.#sequence = BigInt(sequence ?? 0);
        this.deps.onChunk(data, isStderr);
      }
      if (entries.length === BATCH) this.#again = true;
    }
  }
}
