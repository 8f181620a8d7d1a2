import type { SessionEvent } from "../../proto/gen/codegen/events/v1/events_pb.ts";
import type { CallId, SessionId } from "../../shared/ids.ts";
import type { OutputEntry } from "../../shared/process-record.ts";
import type { Records } from "../../shared/records.ts";
import type { ProgressSink } from "./caller.ts";

const BATCH = 16;

/** A place in a process's output: behind the chunk `<epoch>-<sequence>`, which ends at the byte `offset`. */
export interface OutputPosition {
  id: string;
  offset: number;
}

/**
 * Passes one call's output on in order and without gaps: live chunks when each begins where the last ended, whichever
 * epoch they are from, else the process's stream, which is the record. Waits while whoever it passes it to is full.
 */
export class OutputFollower {
  /** The stream's id of what was passed on last. */
  #last: string | undefined;
  /** Offset of the byte that comes next. */
  #offset = 0;
  #reading: Promise<void> | undefined;
  #again = false;
  #isEnding = false;

  /** @param from where to go on; the start without it */
  constructor(
    private readonly deps: { records: Records; sink: ProgressSink },
    private readonly sid: SessionId,
    private readonly callId: CallId,
    from?: OutputPosition,
  ) {
    if (from) this.#advance(from.id, from.offset);
    deps.sink.onRoom = () => void this.catchUp();
  }

  onEvent(event: SessionEvent): void {
    if (event.body.case === "output" && !this.#reading && !this.deps.sink.isFull) {
      const { sequence, offset, data, isStderr } = event.body.value;
      if (Number(offset) === this.#offset) {
        this.#pass({ id: `${event.epoch}-${sequence}`, offset: Number(offset), data: Buffer.from(data), isStderr });
        return;
      }
    }
    if (event.body.case === "output" || event.body.case === "wake") void this.catchUp();
  }

  /** Passes on what the stream has beyond the last chunk. Resolves when there is no more, or no room; never rejects. */
  async catchUp(): Promise<void> {
    this.#again = true;
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    await this.#reading;
  }

  /** Passes on all the rest, room or not. */
  async end(): Promise<void> {
    this.#isEnding = true;
    this.deps.sink.onRoom = undefined;
    await this.catchUp();
  }

  async #read(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      const entries = await this.deps.records.output(this.sid, this.callId, this.#last, BATCH).catch(() => []);
      for (const entry of entries) {
        if (this.deps.sink.isFull && !this.#isEnding) return;
        this.#pass(entry);
      }
      if (entries.length === BATCH) this.#again = true;
    }
  }

  #pass({ id, offset, data, isStderr }: OutputEntry): void {
    if (offset > this.#offset) this.deps.sink.skipped(offset);
    this.#advance(id, offset + data.length);
    this.deps.sink.output(data, isStderr, id);
  }

  #advance(id: string, offset: number): void {
    this.#last = id;
    this.#offset = offset;
  }
}
