import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { ToolFailure } from "../../shared/failure.ts";

/** A client may go on sending for so long: one that is cut off while it writes never sees why. */
const LINGER_MS = 10_000;
const RETRY_AFTER_S = 1;

/** Says at once that the body is too large. */
export const answerTooLarge = async (
  request: IncomingMessage,
  response: ServerResponse,
  maxBytes: number,
): Promise<void> => {
  await answerEarly(request, response, 413, { message: `The request is larger than ${maxBytes} bytes` });
};

/** Says that too many of the principal's requests wait already. Nobody has read this one, so that no tool can say it. */
export const answerQueueFull = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
  const message = "Too many of your requests wait here already";
  const hint = "Wait for some of them to end, then repeat it; it has not begun.";
  const data = new ToolFailure("QUEUE_FULL", message, { hint, retryAfterMs: RETRY_AFTER_S * 1_000 }).toRecord();
  response.setHeader("retry-after", RETRY_AFTER_S);
  await answerEarly(request, response, 429, { message, data });
};

/** Answers a request whose body is not read, and lets the client write on for a while, so that it reads the answer. */
const answerEarly = async (
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  error: { message: string; data?: unknown },
): Promise<void> => {
  const answer = JSON.stringify({ jsonrpc: "2.0", error: { code: -32_000, ...error }, id: null });
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(answer) });
  response.write(answer);
  request.resume();
  const ended = new Promise((resolve) => request.once("end", resolve).once("close", resolve));
  if (!request.complete) await Promise.race([ended, sleep(LINGER_MS, undefined, { ref: false })]);
  response.end();
};
