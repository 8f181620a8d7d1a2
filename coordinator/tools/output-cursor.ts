import { ToolFailure } from "../../shared/failure.ts";
import type { CallId, SessionId } from "../../shared/ids.ts";
import type { OutputEntry } from "../../shared/process-record.ts";
import type { Records } from "../../shared/records.ts";

/** Bytes of output that one answer holds at most. */
const MAX_BYTES = 30_000;
const BATCH = 8;

export interface OutputPage {
  data: Buffer;
  nextCursor: string;
  hasMore: boolean;
}

/**
 * A place in a process's output: behind the entry `after`, and where `id` is given, behind the first `skip` bytes of that
 * entry, which follows `after`. Written `<epoch>-<sequence>`, or `<id>:<skip>`; "0" is the start.
 */
interface Cursor {
  after: string | undefined;
  id?: string;
  skip: number;
}

const parse = (cursor: string | undefined): Cursor => {
  if (cursor === undefined || cursor === "0") return { after: undefined, skip: 0 };
  const match = /^((\d{1,15})-([1-9]\d{0,14}))(?::(\d{1,15}))?$/.exec(cursor);
  if (!match) {
    throw new ToolFailure("INVALID_ARGUMENT", `cursor "${cursor}" is none that read_process returned`, {
      hint: "Pass next_cursor of an earlier answer, or leave cursor out to read from the start.",
    });
  }
  const [, id = "", epoch, sequence, skip] = match;
  return skip === undefined
    ? { after: id, skip: 0 }
    : { after: `${epoch}-${Number(sequence) - 1}`, id, skip: Number(skip) };
};

/** What a page holds of one entry. */
interface Slice {
  id: string;
  from: number;
  to: number;
  /** Whether the entry ends with it. */
  isWhole: boolean;
  data: Buffer;
}

/**
 * Reads at most one answer's worth of output from a cursor on. Bytes that were evicted meanwhile are jumped over. A page
 * never ends inside a UTF-8 character, unless nothing can follow.
 * @param isOver the process has written all that it ever will
 */
export const readOutput = async (
  records: Records,
  sid: SessionId,
  callId: CallId,
  from: string | undefined,
  isOver: boolean,
): Promise<OutputPage> => {
  const { after, id: cutId, skip } = parse(from);
  const slices: Slice[] = [];
  let room = MAX_BYTES;
  let last = after;
  for (let hasMore = true; hasMore && room > 0; ) {
    const entries: OutputEntry[] = await records.output(sid, callId, last, BATCH);
    for (const { id, data } of entries) {
      const start = id === cutId ? Math.min(skip, data.length) : 0;
      const to = Math.min(data.length, start + room);
      slices.push({ id, from: start, to, isWhole: to === data.length, data });
      room -= to - start;
      last = id;
      if (room === 0) break;
    }
    hasMore = entries.length === BATCH;
  }
  const isCut = room === 0;
  const data = Buffer.concat(slices.map((slice) => slice.data.subarray(slice.from, slice.to)));
  const held = isCut || !isOver ? incompleteTail(data) : 0;
  return {
    data: data.subarray(0, data.length - held),
    nextCursor: cursorAfter(slices, held) ?? from ?? "0",
    hasMore: isCut,
  };
};

/** The place `held` bytes before the end of the slices; undefined where there is none. */
const cursorAfter = (slices: Slice[], held: number): string | undefined => {
  let back = held;
  for (const { id, from, to, isWhole } of slices.toReversed()) {
    if (back === 0 && isWhole) return id;
    if (to - from >= back) return `${id}:${to - back}`;
    back -= to - from;
  }
  return undefined;
};

/** How many bytes at the end begin a UTF-8 character without ending it. */
const incompleteTail = (data: Buffer): number => {
  for (let length = 1; length <= 3 && length <= data.length; length++) {
    const byte = data[data.length - length] ?? 0;
    if ((byte & 0xc0) === 0x80) continue; // not its first byte
    const whole = byte >= 0xf8 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return whole > length ? length : 0;
  }
  return 0;
};
