import { expect } from "chai";
import { closeRedis, createRedis, whenReady } from "../../shared/redis/connect.ts";
import { Link } from "../chaos/link.ts";
import { eventually } from "../support/eventually.ts";
import { silentLog, useRedis } from "../support/use-redis.ts";

describe("A subscriber's connection", () => {
  const server = useRedis();

  it("that is half open is noticed though nobody asks for anything, and what comes later is heard", async function () {
    this.timeout(60_000);
    const link = await Link.start(server.server.port);
    const url = new URL(server.server.url);
    url.port = String(link.port);
    const subscriber = createRedis(url.href, "subscriber", silentLog);
    await whenReady(subscriber);
    await subscriber.subscribe("news");
    let heard = "";
    subscriber.on("message", (_channel, text) => {
      heard = text;
    });
    const { count, end } = link.silence();
    expect(count).to.equal(1);
    const isHeard = async (): Promise<boolean> => {
      await server.redis.publish("news", "later"); // Redis counts the silent connection as one that hears
      return heard === "later";
    };
    await eventually("it is heard", isHeard, 50_000);
    await closeRedis(subscriber);
    end();
    await link.stop();
  });
});
