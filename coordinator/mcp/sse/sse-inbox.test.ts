import { expect } from "chai";
import { keys } from "../../../shared/redis/keys.ts";
import { eventually } from "../../../test/support/eventually.ts";
import { silentLog, useRedis } from "../../../test/support/use-redis.ts";
import { SseInbox } from "./sse-inbox.ts";

const ping = (id: number) => ({ jsonrpc: "2.0" as const, id, method: "ping" });

describe("SseInbox", () => {
  const server = useRedis();
  let here: SseInbox;
  let there: SseInbox;
  before(async () => {
    const open = async () => {
      const inbox = new SseInbox({
        redis: server.redis,
        subscriber: await server.connect("subscriber"),
        log: silentLog,
      });
      await inbox.start();
      return inbox;
    };
    [here, there] = await Promise.all([open(), open()]);
  });
  after(() => Promise.all([here.stop(), there.stop()]));

  it("hands messages in order to the replica that holds the stream, each once", async () => {
    const taken: unknown[] = [];
    const close = here.open("stream", (message) => taken.push((message as { id: number }).id));
    const ids = Array.from({ length: 100 }, (_, i) => i);
    for (const id of ids) expect(await there.put("stream", ping(id))).to.equal(true);
    await eventually("all came", () => taken.length >= ids.length);
    expect(taken).to.deep.equal(ids);
    close();
  });

  it("finds a message although its announcement was lost", async () => {
    const taken: unknown[] = [];
    const close = here.open("quiet", (message) => taken.push(message));
    await server.redis.rpush(keys.mcpInbox("quiet"), JSON.stringify(ping(1)));
    await eventually("it came", () => taken.length === 1);
    close();
  });

  it("is full at a thousand, and forgets what nobody takes", async () => {
    const filler = Array.from({ length: 1_000 }, () => "{}");
    await server.redis.rpush(keys.mcpInbox("full"), ...filler);
    expect(await there.put("full", ping(1))).to.equal(false);
    await there.put("nobody", ping(1));
    expect(await server.redis.ttl(keys.mcpInbox("nobody"))).to.be.within(1, 60);
  });
});
