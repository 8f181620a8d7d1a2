import type { JobsOptions, QueueOptions, WorkerOptions } from "bullmq";

/** All BullMQ keys share one prefix, in braces so that Redis Cluster keeps a queue's keys in one slot. */
const PREFIX = "{cgq}";

export const PLACE_QUEUE = "place";
/** One queue per worker incarnation: its calls, and nobody else's. BullMQ allows no colon in a name. */
export const callQueueOf = (incarnation: string): string => `calls-${incarnation}`;

/** The incarnation whose queue a Redis key belongs to; "" for any other key. */
export const incarnationOfQueueKey = (key: string): string => /^\{cgq\}:calls-(w_[0-9a-z]+):/.exec(key)?.[1] ?? "";

/** What a job holds: only who rings. The truth about the call stands in its record. */
export interface Doorbell {
  /** Absent in the place queue, where a job says only that somebody waits. */
  sessionId?: string;
  callId?: string;
  tool?: string;
  /** For an operator's board; the call's record has the whole. */
  traceparent?: string;
}

/** BullMQ swallows an id that it still knows, so every ring has its own. */
export const callJobId = (callId: string, epoch: number, ring: number): string => `${callId}.${epoch}.${ring}`;

/** No event streams: replies take their own path, and each `new Queue()` would set the length anew. */
export const queueOptions: Omit<QueueOptions, "connection"> = {
  prefix: PREFIX,
  streams: { events: { maxLen: 0 } },
};

/** A job is never repeated by BullMQ: whether a call may start again is decided by its record. */
export const jobOptions: JobsOptions = {
  attempts: 1,
  removeOnComplete: { age: 600, count: 500 },
  removeOnFail: { age: 600, count: 500 },
};

export const workerOptions: Omit<WorkerOptions, "connection"> = {
  prefix: PREFIX,
  autorun: false,
  maxStalledCount: 0,
};
