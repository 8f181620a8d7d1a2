import type { Duplex } from "node:stream";

/** A way to one sandbox's agent: at most one live stream at a time, another one after each that ended. */
export interface AgentChannel {
  /** Idempotent. `onStream` is called with every stream that the agent opens, one after the other. */
  open(onStream: (stream: Duplex) => void): Promise<void>;
  /** Idempotent. Ends the live stream; none follows. */
  close(): Promise<void>;
  /** Idempotent, after `close`: nothing of the channel is left on this host, and nobody can open it again. */
  discard(): Promise<void>;
}
