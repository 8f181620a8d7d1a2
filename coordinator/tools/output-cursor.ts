import { ToolFailure } from "../../shared/failure.ts";
import type { CallId, SessionId } from "../../shared/ids.ts";
import type { OutputEntry, Records } from "../../shared/records.ts";

/** Bytes of output that one answer holds at most. */
const MAX_BYTES = 30_000;
const BATCH = 8;

export interface OutputPage {
  data: Buffer;
  nextCursor: string;
  hasMore: boolean;
}

/**
 * A place in a process's output: after the first `skip` bytes of the entry that follows `after`. Written
 * `<epoch>-<sequence>` or `<epoch>-<sequence>:<skip>`; "0" is the start.
 */
interface Cursor {
  after: string | undefined;
  skip: number;
}

const parse = (cursor: string | undefined): Cursor => {
  if (cursor === undefined || cursor === "0") return { after: undefined, skip: 0 };
  const match = /^(0|\d+-\d+)(?::(\d+))?$/.exec(cursor);
  if (!match?.[1]) {
    throw new ToolFailure("INVALID_ARGUMENT", `cursor "${cursor}" is none that read_process returned`, {
      hint: "Pass next_cursor of an earlier answer, or leave cursor out to read from the start.",
    });
  }
  return { after: match[1] === "0" ? undefined : match[1], skip: Number(match[2] ?? 0) };
};

const format = ({ after, skip }: Cursor): string => `${after ?? "0"}${skip ? `:${skip}` : ""}`;

/** Reads at most one answer's worth of output from a cursor on. Bytes that were evicted meanwhile are jumped over. */
export const readOutput = async (
  records: Records,
  sid: SessionId,
  callId: CallId,
  from: string | undefined,
): Promise<OutputPage> => {
  let { after, skip } = parse(from);
  const parts: Buffer[] = [];
  let size = 0;
  for (;;) {
    const entries: OutputEntry[] = await records.output(sid, callId, after, BATCH);
    for (const entry of entries) {
      const rest = entry.data.subarray(skip);
      const room = MAX_BYTES - size;
      if (rest.length > room) {
        const cut = cutUtf8(rest, room);
        parts.push(cut);
        return { data: Buffer.concat(parts), nextCursor: format({ after, skip: skip + cut.length }), hasMore: true };
      }
      parts.push(rest);
      size += rest.length;
      after = entry.id;
      skip = 0;
    }
    if (entries.length < BATCH) {
      return { data: Buffer.concat(parts), nextCursor: format({ after, skip }), hasMore: false };
    }
  }
};

/** At most `limit` bytes, without cutting a UTF-8 character in two (a page is never empty for that reason). */
const cutUtf8 = (data: Buffer, limit: number): Buffer => {
  let end = limit;
  while (end > limit - 4 && end > 1 && ((data[end] ?? 0) & 0xc0) === 0x80) end--;
  return data.subarray(0, end);
};
