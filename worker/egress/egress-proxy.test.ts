import type { LookupAddress } from "node:dns";
import { once } from "node:events";
import { createServer as createHttpServer, type Server as HttpServer, type IncomingMessage } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { networkInterfaces } from "node:os";
import { expect } from "chai";
import pino from "pino";
import { eventually } from "../../test/support/eventually.ts";
import { EgressJudge, type EgressVerdict } from "./egress-judge.ts";
import { EgressProxy } from "./egress-proxy.ts";
import { EgressRules } from "./egress-rules.ts";
import { isPublicAddress } from "./public-address.ts";

describe("The egress proxy", () => {
  let target: HttpServer;
  let door: Server;
  let port: number;
  /** Takes connections, says nothing and never ends one by itself. */
  const silent = createServer({ allowHalfOpen: true }, (socket) => void socket.resume());
  let mute: number;
  const asked: { headers: IncomingMessage["headers"]; at: string | undefined }[] = [];
  const counted: EgressVerdict[] = [];
  const logged: Record<string, unknown>[] = [];
  /** A name server that may say something else the next time. */
  const answers = new Map<string, string[]>();
  const resolve = async (name: string): Promise<LookupAddress[]> => {
    const address = answers.get(name)?.shift();
    if (address === undefined) throw Object.assign(new Error("no such name"), { code: "ENOTFOUND" });
    return [{ address, family: address.includes(":") ? 6 : 4 }];
  };

  before(async () => {
    target = createHttpServer((request, response) => {
      asked.push({ headers: request.headers, at: request.socket.localAddress });
      response.writeHead(200, { connection: "close" }).end("reached");
    }).listen(0, "0.0.0.0");
    await once(target, "listening");
    port = (target.address() as AddressInfo).port;
    await once(silent.listen(0, "127.0.0.1"), "listening");
    mute = (silent.address() as AddressInfo).port;
    const rules = EgressRules.of({
      allow: [`pinned.example:${mute}`, `pinned.example:${port}`, `localhost:${port}`, `*:${port}`],
      hosts: { "pinned.example": "127.0.0.1" },
      principals: { team: { allow: [`team.example:${port}`] } },
    });
    const log = pino({}, { write: (line) => void logged.push(JSON.parse(line)) });
    const isPublic = (address: string): boolean => address === "127.0.0.2" || isPublicAddress(address); // there is no internet here
    const metrics = { egress: (verdict: EgressVerdict) => void counted.push(verdict) };
    const injector = { prepare: () => Promise.reject(new Error("there are no secrets here")) };
    const proxy = new EgressProxy({ rules, judge: new EgressJudge(rules, resolve, isPublic), injector, metrics, log });
    proxy.offer("own.internal", port);
    door = createServer((socket) => {
      socket.once("data", (first: Buffer) => {
        socket.pause();
        const [principal = "", rest = ""] = first.toString("latin1").split("\0"); // the test's way to say whose it is
        socket.unshift(Buffer.from(rest, "latin1"));
        proxy.take(socket, principal);
        socket.resume(); // what was put back is read from here, not from the system
      });
    }).listen(0, "127.0.0.1");
    await once(door, "listening");
  });
  after(() => {
    door.close();
    silent.close();
    target.close();
    target.closeAllConnections();
  });

  /** What comes back, and all of it: a second request goes through a tunnel once that stands. */
  const ask = async (text: string, then = "", principal = "anyone"): Promise<string> => {
    const socket = connect((door.address() as AddressInfo).port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(`${principal}\0${text}`);
    let answer = "";
    socket.on("data", (data) => {
      answer += String(data);
      if (then && /200 Connection Established|reached/.test(answer)) {
        socket.write(then);
        then = "";
      }
      if (/ (40\d|502) /.test(answer)) socket.end();
    });
    await once(socket, "close");
    return answer;
  };
  const get = (url: string, principal?: string): Promise<string> =>
    ask(`GET ${url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, "", principal);
  const tunnel = (to: string, principal?: string): Promise<string> =>
    ask(
      `CONNECT ${to} HTTP/1.1\r\nHost: ${to}\r\n\r\n`,
      "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
      principal,
    );

  it("leads to a name that is allowed, by request and by tunnel", async () => {
    expect(await get(`http://pinned.example:${port}/`)).to.include("reached");
    expect(await tunnel(`pinned.example:${port}`)).to.include("reached");
    expect(await tunnel(`PINNED.example.:${port}`)).to.include("reached");
    expect(await get(`http://own.internal:${port}/`)).to.include("reached");
  });

  it("refuses a name or a port that is not, and says how it would be", async () => {
    const rule = (text: string) => new RegExp(`^HTTP/1.1 403 .*"${text}" under "allow" in EGRESS_FILE$`, "s");
    expect(await tunnel("pinned.example:22")).to.match(rule("pinned.example:22"));
    expect(await tunnel("pinned.example:443")).to.match(rule("pinned.example"));
    expect(await get("http://pinned.example/")).to.match(rule("pinned.example"));
    expect(await tunnel("own.internal:22")).to.match(rule("own.internal:22"));
    expect(logged.at(-1)).to.include({ principal: "anyone", name: "own.internal", port: 22, verdict: "not_listed" });
    expect(counted.slice(-4)).to.deep.equal(Array(4).fill("not_listed"));
  });

  it("judges each request of a connection", async () => {
    const first = `GET http://pinned.example:${port}/ HTTP/1.1\r\nHost: x\r\n\r\n`;
    const second = "GET http://other.example/ HTTP/1.1\r\nHost: x\r\n\r\n";
    expect(await ask(first, second)).to.match(/^HTTP\/1.1 200 .*reached.*HTTP\/1.1 403 /s);
  });

  it("names to the host the name that was judged, not the one that the header says", async () => {
    await ask(`GET http://pinned.example:${port}/ HTTP/1.1\r\nHost: other.example\r\nConnection: close\r\n\r\n`);
    expect(asked.at(-1)?.headers.host).to.equal(`pinned.example:${port}`);
  });

  it("goes by a principal's own list", async () => {
    expect(await tunnel(`pinned.example:${port}`, "team")).to.match(/ 403 /);
    expect(await tunnel(`own.internal:${port}`, "team")).to.include("reached");
  });

  /** An address of ours that stands in no list of private ones would be refused as well: all of them are tried. */
  const own = Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
  const literals = [
    ...[
      "127.0.0.1",
      "169.254.169.254",
      "10.0.0.1",
      "172.17.0.1",
      "0.0.0.0",
      ...own.filter((one) => !one.includes(":")),
    ],
    ...["[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "[fe80::1]"],
    ...["[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]", ...own.filter((one) => one.includes(":")).map((one) => `[${one}]`)],
  ];
  for (const host of literals) {
    it(`refuses the address ${host}, whatever the list says`, async () => {
      const reached = asked.length;
      for (const answer of [await tunnel(`${host}:${port}`), await get(`http://${host}:${port}/`)])
        expect(answer).to.match(/^HTTP\/1.1 403 .*not public. The operator names private addresses under "hosts"/s);
      expect(counted.slice(-2)).to.deep.equal(["not_public", "not_public"]);
      expect(asked).to.have.length(reached);
    });
  }

  for (const host of [
    "localhost",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "localhost.",
    "metadata.internal",
  ]) {
    it(`refuses ${host}, a name that leads to a private address`, async () => {
      const reached = asked.length;
      const address = host.startsWith("metadata") ? "169.254.169.254" : "127.0.0.1"; // as the system's resolver says
      answers.set(host.replace(/\.$/, ""), [address, address]);
      for (const answer of [await tunnel(`${host}:${port}`), await get(`http://${host}:${port}/`)])
        expect(answer).to.match(/^HTTP\/1.1 403 .*not public/s);
      expect(counted.slice(-2)).to.deep.equal(["not_public", "not_public"]);
      expect(asked).to.have.length(reached);
    });
  }

  it("connects to the address that it checked, though the name leads elsewhere by then", async () => {
    for (const reach of [tunnel, (to: string) => get(`http://${to}/`)]) {
      answers.set("rebinding.example", ["127.0.0.2", "127.0.0.1"]);
      expect(await reach(`rebinding.example:${port}`)).to.include("reached");
      expect(asked.at(-1)?.at).to.match(/127\.0\.0\.2$/);
      expect(await reach(`rebinding.example:${port}`)).to.match(/ 403 .*leads to 127\.0\.0\.1, which is not public/s);
      expect(answers.get("rebinding.example"), "asked once for each").to.deep.equal([]);
    }
  });

  it("refuses credentials in a URL, however malformed, and goes on", async () => {
    for (const credentials of ["%zz", "user:password", ":%"])
      expect(await get(`http://${credentials}@pinned.example:${port}/`)).to.match(/^HTTP\/1.1 400 .*into a header/s);
    expect(await get(`http://pinned.example:${port}/`)).to.include("reached");
  });

  it("lets a request's connection go when its client leaves, though the host does not answer", async () => {
    const request = `POST http://pinned.example:${mute} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n`;
    const left: Socket[] = [];
    for (let i = 0; i < 20; i++) {
      const reached = once(silent, "connection");
      const client = connect((door.address() as AddressInfo).port, "127.0.0.1");
      client.write(`anyone\0${request}`);
      left.push(((await reached) as [Socket])[0]);
      client.destroy();
    }
    await eventually("they have ended", () => left.every((socket) => socket.readableEnded));
    for (const socket of left) socket.destroy();
  });

  it("says that a name does not exist", async () => {
    expect(await tunnel(`missing.example:${port}`)).to.match(/^HTTP\/1.1 502 .*cannot be resolved \(ENOTFOUND\)/s);
    expect(counted.at(-1)).to.equal("not_found");
  });

  it("does not mind what is no request of a proxy", async () => {
    for (const text of [
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      "nonsense\r\n\r\n",
      "CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n",
    ])
      expect(await ask(text)).to.match(/ 400 /);
    expect(await get(`http://pinned.example:${port}/`)).to.include("reached");
  });
});
