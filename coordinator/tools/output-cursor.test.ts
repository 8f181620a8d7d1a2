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
          const page = await readOutput(records, sid, callId, cursor);
          expect(page.data.length).to.be.at.most(30_000);
          read += page.data.toString();
          cursor = page.nextCursor;
          hasMore = page.hasMore;
        }
        expect(read).to.equal(chunks.join(""));
        expect((await readOutput(records, sid, callId, cursor)).data.length, "nothing new").to.equal(0);
      }),
      { numRuns: 30 },
    );
  });

  it("refuses a cursor that it never gave", async () => {
    const sid = newSessionId();
    for (const cursor of ["x", "1", "1-1:", "-1-1", "1-1-1"]) {
      const error = await readOutput(new Records(server.redis), sid, newCallId(sid), cursor).catch((e: unknown) => e);
      expect(error, cursor).to.be.instanceOf(ToolFailure).with.property("code", "INVALID_ARGUMENT");
    }
  });
});
