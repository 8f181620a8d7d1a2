import { expect } from "chai";
import { parseRedisAddress } from "./redis-address.ts";

describe("A Redis address", () => {
  it("is one server's URL as it stands", () => {
    for (const url of ["redis://127.0.0.1:6379", "rediss://u:p@redis.example/2"])
      expect(parseRedisAddress(url)).to.deep.equal({ kind: "server", url });
  });

  it("is the path of a socket", () => {
    const kind = "socket";
    const login = { password: "p@ss" };
    expect(parseRedisAddress("redis+unix://:p%40ss@/run/a b/r.sock")).to.deep.equal({
      kind,
      path: "/run/a b/r.sock",
      login,
    });
    expect(parseRedisAddress("redis+unix:///r.sock")).to.deep.equal({ kind, path: "/r.sock", login: {} });
  });

  it("names the nodes of a cluster, and who logs in", () => {
    expect(parseRedisAddress("rediss+cluster://ann:p%40ss@a:7000,[::1]:7001")).to.deep.equal({
      kind: "cluster",
      nodes: [
        { host: "a", port: 7000 },
        { host: "::1", port: 7001 },
      ],
      login: { username: "ann", password: "p@ss", tls: {} },
    });
  });

  it("names sentinels and the master that they watch", () => {
    expect(parseRedisAddress("redis+sentinel://:secret@a:26379,b:26379/main")).to.deep.equal({
      kind: "sentinel",
      nodes: [
        { host: "a", port: 26379 },
        { host: "b", port: 26379 },
      ],
      login: { password: "secret" },
      master: "main",
    });
  });

  it("is nothing else", () => {
    for (const url of [
      "",
      "http://a",
      "redis+cluster://a",
      "redis+cluster://a:1/x",
      "redis+sentinel://a:1",
      "redis+unix://a:1",
      "a:6379",
    ])
      expect(parseRedisAddress(url), url).to.equal(undefined);
  });
});
