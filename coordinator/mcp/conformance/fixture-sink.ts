import type { ProgressSink } from "../../calls/caller.ts";

type Json = Record<string, unknown>;

/** Sends on what a fixture tells, which comes as the output of its call: each chunk is one notification. */
export class FixtureSink implements ProgressSink {
  readonly isFull = false;
  onRoom: (() => void) | undefined;

  constructor(private readonly send: { progress: (params: Json) => unknown; log: (params: Json) => unknown }) {}

  output(data: Buffer): void {
    const { method, params } = JSON.parse(data.toString()) as { method: string; params: Json };
    if (method === "notifications/progress") this.send.progress(params);
    else this.send.log(params);
  }

  skipped(): void {}
  queued(): void {}
}
