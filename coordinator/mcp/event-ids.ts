import type { JSONRPCMessage, RequestId } from "@modelcontextprotocol/server";
import { type EventStore, isJSONRPCErrorResponse, isJSONRPCResultResponse } from "@modelcontextprotocol/server";
import { type CallId, isCallId } from "../../shared/ids.ts";

/** What a `Last-Event-ID` says its client has seen. */
export type Seen =
  /** The request, and nothing of a call. */
  | { kind: "request"; requestId: RequestId }
  /** A call's messages up to one that tells its output up to the chunk `cursor`. */
  | { kind: "call"; callId: CallId; cursor: string }
  /** Everything. */
  | { kind: "end"; callId: CallId };

const requestEventId = (id: RequestId): string => `request.${Buffer.from(JSON.stringify(id)).toString("base64url")}`;
/** @param cursor the last chunk of output that was told, `<epoch>-<sequence>`; "0-0" for none */
export const callEventId = (callId: string, cursor: string): string => `${callId}.${cursor}`;
export const endEventId = (callId: string): string => `${callId}.end`;

/** @returns undefined for what is no event id of ours */
export const parseEventId = (text: string): Seen | undefined => {
  const [subject = "", rest = ""] = text.split(".", 2);
  if (subject === "request") {
    const requestId = parseRequestId(rest);
    return requestId === undefined ? undefined : { kind: "request", requestId };
  }
  if (!isCallId(subject)) return undefined;
  if (rest === "end") return { kind: "end", callId: subject };
  return /^\d{1,15}-\d{1,15}$/.test(rest) ? { kind: "call", callId: subject, cursor: rest } : undefined;
};

const parseRequestId = (text: string): RequestId | undefined => {
  try {
    const id: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    return typeof id === "string" || typeof id === "number" ? id : undefined;
  } catch {
    return undefined;
  }
};

/**
 * Names the events of one request's stream by what they tell, where the SDK expects a store. Nothing is stored: the
 * records have the output and the answer, and any replica can go on from an id.
 */
export class EventIds implements EventStore {
  callId: CallId | undefined;
  #cursor = "0-0";
  readonly #cursors = new Map<number, string>();

  constructor(readonly requestId: RequestId) {}

  /** The progress message with this number tells the output up to this chunk. */
  told(progress: number, cursor: string): void {
    this.#cursors.set(progress, cursor);
  }

  async storeEvent(_streamId: string, message: JSONRPCMessage): Promise<string> {
    if (!this.callId) return requestEventId(this.requestId);
    if (isJSONRPCResultResponse(message) || isJSONRPCErrorResponse(message)) return endEventId(this.callId);
    const progress = "params" in message ? Number(message.params?.progress) : Number.NaN;
    this.#cursor = this.#cursors.get(progress) ?? this.#cursor;
    this.#cursors.delete(progress);
    return callEventId(this.callId, this.#cursor);
  }

  async replayEventsAfter(): Promise<never> {
    throw new Error("streams are resumed from the records");
  }
}
