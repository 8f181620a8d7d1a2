import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import rangeParser from "range-parser";
import { ToolFailure } from "../../shared/failure.ts";
import type { Executor } from "../session/owned-session.ts";
import { fileFacts, readRange } from "./file-reader.ts";
import { requestTo } from "./request-to.ts";

interface SendArguments {
  path: string;
  to: string;
  range?: string;
  facts_only: boolean;
}

interface Stretch {
  status: 200 | 206 | 416;
  start: number;
  end: number;
  headers: Record<string, string | number>;
}

/** Answers a download: the file, or one range of it, as the body of a POST whose headers are the download's own. */
export const sendFile: Executor = async (args, { workspace, signal }) => {
  const { path, to, range, facts_only: isHead } = args as unknown as SendArguments;
  const sandbox = await workspace.sandbox();
  const { sizeBytes, version, mime } = await fileFacts(sandbox, path);
  const size = Number(sizeBytes);
  const { status, start, end, headers } = stretchOf(size, range);
  const post = requestTo(to, {
    method: "POST",
    signal,
    headers: { ...headers, "content-type": mime, etag: `"${version}"`, "x-status": status },
  });
  const answered = new Promise<number>((resolve, reject) => {
    post.on("response", (response) => resolve(response.resume().statusCode ?? 0));
    post.on("error", reject);
  });
  answered.catch(() => {}); // a broken pipeline is told first
  const body =
    isHead || status === 416 ? Readable.from([]) : Readable.from(readRange(sandbox, { path, version }, start, end));
  try {
    await pipeline(body, post);
    if ((await answered) !== 204) throw new Error("the coordinator did not take all of it");
  } catch (cause) {
    if (cause instanceof ToolFailure) throw cause;
    throw new ToolFailure("CANCELLED", `The download of "${path}" ended early`, { cause });
  }
  return { session_id: workspace.id, path, size_bytes: size, mime };
};

/** One range is honoured; several, or what is none, get the whole file, as RFC 9110 allows. */
const stretchOf = (size: number, range: string | undefined): Stretch => {
  const ranges = range === undefined ? -2 : rangeParser(size, range);
  const whole = { status: 200, start: 0, end: size - 1, headers: { "x-length": size } } as const;
  if (ranges === -1)
    return { status: 416, start: 0, end: -1, headers: { "content-range": `bytes */${size}`, "x-length": 0 } };
  if (ranges === -2 || ranges.type !== "bytes" || ranges.length !== 1) return whole;
  const { start, end } = ranges[0]!;
  const headers = { "content-range": `bytes ${start}-${end}/${size}`, "x-length": end - start + 1 };
  return { status: 206, start, end, headers };
};
