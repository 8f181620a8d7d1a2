import { expect } from "chai";
import fc from "fast-check";
import { ToolFailure } from "../../shared/failure.ts";
import { newCallId, newSessionId, processIdOf } from "../../shared/ids.ts";
import { Records } from "../../shared/records.ts";
import { keys } from "../../shared/redis/keys.ts";
import { useRedis } from "../../test/support/use-redis.ts";
import { readOutput } from "./output-cursor.ts";

describe("readOutput", () => {
  const server = useRedis();

  it("gives every byte once and in order over pages, and never cuts a character", async () => {
    const chunk = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20_000 });
    await fc.assert(
      fc.asyncProperty(fc.array(chunk, { maxLength: 12 }), async (chunks) => {
        const sid = newSessionId();
        const callId = newCallId(sid);
        const stream = keys.output(sid, processIdOf(callId));
        for (const [i, text] of chunks.entries()) {
          await server.redis.xadd(stream, `1-${i + 1}`, "s", "1", "o", "0", "d", Buffer.from(text));
        }
        const records = new Records(server.redis);
        let read = "";
        let cursor: string | undefined;
        for (let hasMore = true; hasMore; ) {
          const page = await readOutput(records, sid, callId, cursor, true);
          expect(page.data.length).to.be.at.most(30_000);
          read += page.data.toString();
          cursor = page.nextCursor;
          hasMore = page.hasMore;
        }
        expect(read).to.equal(chunks.join(""));
        expect((await readOutput(records, sid, callId, cursor, true)).data.length, "nothing new").to.equal(0);
      }),
      { numRuns: 30 },
    );
  });

  it("cuts no character either while its rest is still to come, however the bytes arrive", async () => {
    const cuts = fc.tuple(
      fc.string({ unit: "grapheme", maxLength: 40 }),
      fc.infiniteStream(fc.integer({ min: 1, max: 3 })),
    );
    await fc.assert(
      fc.asyncProperty(cuts, async ([text, sizes]) => {
        const sid = newSessionId();
        const callId = newCallId(sid);
        const records = new Records(server.redis);
        const bytes = Buffer.from(text);
        let read = "";
        let cursor: string | undefined;
        const readOn = async (isOver: boolean): Promise<void> => {
          const page = await readOutput(records, sid, callId, cursor, isOver);
          read += page.data.toString();
          cursor = page.nextCursor;
        };
        for (let at = 0, i = 1; at < bytes.length; i++) {
          const size = sizes.next().value ?? 1;
          const stream = keys.output(sid, processIdOf(callId));
          await server.redis.xadd(stream, `1-${i}`, "s", "1", "o", "0", "d", bytes.subarray(at, at + size));
          at += size;
          await readOn(false);
        }
        await readOn(true);
        expect(read).to.equal(text);
      }),
      { numRuns: 30 },
    );
  });

  it("goes on at the next byte that is kept when the entry that it was cut in is evicted", async () => {
    const sid = newSessionId();
    const callId = newCallId(sid);
    const stream = keys.output(sid, processIdOf(callId));
    await server.redis.xadd(stream, "1-1", "s", "1", "o", "0", "d", "x".repeat(40_000));
    await server.redis.xadd(stream, "1-2", "s", "1", "o", "40000", "d", "whole");
    const records = new Records(server.redis);
    const { nextCursor } = await readOutput(records, sid, callId, undefined, false);
    await server.redis.xdel(stream, "1-1");
    expect((await readOutput(records, sid, callId, nextCursor, false)).data.toString()).to.equal("whole");
  });

  it("refuses a cursor that it never gave", async () => {
    const sid = newSessionId();
    for (const cursor of ["x", "1", "1-1:", "-1-1", "1-1-1", "1-0:1", "0:1"]) {
      const error = await readOutput(new Records(server.redis), sid, newCallId(sid), cursor, true).catch(
        (e: unknown) => e,
      );
      expect(error, cursor).to.be.instanceOf(ToolFailure).with.property("code", "INVALID_ARGUMENT");
    }
  });
});
